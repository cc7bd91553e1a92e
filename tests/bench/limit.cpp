// SPDX-License-Identifier: GPL-3.0-or-later
//
// What transport.py compares with: how fast a server takes and gives files if nothing else is done, and a distant server.
//
//     limit put PORT/BASE USER:PASSWORD DIRECTORY CONNECTIONS   PUT under another name, MOVE to the name, unlink the file here
//     limit get PORT/BASE USER:PASSWORD DIRECTORY CONNECTIONS   PROPFIND, then GET, fsync and DELETE of each file
//     limit far PORT MICROSECONDS                               a TCP proxy before PORT of this host: each byte takes half of
//                                                               the time in either direction. It prints its own port.
//
// HTTP/1.1 to 127.0.0.1, basic authentication with the first request, kept connections, a thread each.
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

[[noreturn]] void give_up(const std::string& what) {
    std::perror(what.c_str());
    std::_Exit(1);
}

int connected(std::uint16_t port) {
    const int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(s, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) give_up("connect");
    const int on = 1;
    setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return s;
}

std::string base64(std::string_view in) {
    constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    for (std::size_t i = 0; i < in.size(); i += 3) {
        unsigned bits = 0;
        for (std::size_t k = 0; k < 3; ++k)
            bits = bits << 8 | (i + k < in.size() ? static_cast<unsigned char>(in[i + k]) : 0U);
        for (std::size_t k = 0; k < 4; ++k) out += k <= in.size() - i ? digits[bits >> (18 - 6 * k) & 63] : '=';
    }
    return out;
}

struct Server {
    std::uint16_t port = 0;
    std::string base;  // "peer/"
    std::string authorization;
    std::string directory;
};

// A kept connection, and an answer at a time.
class Connection {
  public:
    explicit Connection(const Server& server) : server_(server), socket_(connected(server.port)) {}
    ~Connection() { close(socket_); }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    void ask(std::string_view method, const std::string& path, const std::string& more, bool body_follows = false) {
        if (ends_) {
            close(socket_);
            socket_ = connected(server_.port);
            ends_ = false;
        }
        std::string text(method);
        text += " /" + server_.base + path + " HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(server_.port) +
                "\r\nAuthorization: Basic " + server_.authorization + "\r\n" + more + "\r\n";
        for (std::size_t sent = 0; sent < text.size();) {
            const auto n =
                send(socket_, text.data() + sent, text.size() - sent, MSG_NOSIGNAL | (body_follows ? MSG_MORE : 0));
            if (n < 0) give_up("send");
            sent += static_cast<std::size_t>(n);
        }
    }

    void send_file(int file, off_t size) {
        for (off_t at = 0; at < size;) {
            if (sendfile(socket_, file, &at, static_cast<std::size_t>(size - at)) <= 0) give_up("sendfile");
        }
    }

    // The body goes into `file`, or is returned.
    std::string answer(int wanted, int file = -1) {
        std::size_t end = 0;
        while ((end = in_.find("\r\n\r\n")) == std::string::npos) more();
        const std::string head = in_.substr(0, end + 4);
        in_.erase(0, end + 4);
        const int status = std::atoi(head.c_str() + 9);
        ends_ = head.find("Connection: close") != std::string::npos;
        if (status / 100 != wanted) {
            std::fprintf(stderr, "%s\n", head.c_str());
            std::_Exit(1);
        }
        std::string body;
        if (status == 204) return body;
        if (head.find("chunked") != std::string::npos) {
            for (;;) {
                while ((end = in_.find("\r\n")) == std::string::npos) more();
                const auto size = std::strtoul(in_.c_str(), nullptr, 16);
                in_.erase(0, end + 2);
                take(size, file, body);
                while (in_.size() < 2) more();
                in_.erase(0, 2);
                if (size == 0) return body;
            }
        }
        const auto length = head.find("Content-Length: ");
        if (length != std::string::npos) take(std::strtoul(head.c_str() + length + 16, nullptr, 10), file, body);
        return body;
    }

  private:
    void more() {
        std::array<char, 65536> buffer;
        const auto n = recv(socket_, buffer.data(), buffer.size(), 0);
        if (n <= 0) give_up("recv");
        in_.append(buffer.data(), static_cast<std::size_t>(n));
    }

    void take(std::size_t size, int file, std::string& body) {
        while (size > 0) {
            if (in_.empty()) more();
            const auto n = std::min(size, in_.size());
            if (file < 0)
                body.append(in_, 0, n);
            else if (write(file, in_.data(), n) != static_cast<ssize_t>(n))
                give_up("write");
            in_.erase(0, n);
            size -= n;
        }
    }

    const Server& server_;
    int socket_;
    bool ends_ = false;
    std::string in_;
};

template <typename Each>
void spread(const std::vector<std::string>& names, int connections, Each each) {
    std::atomic<std::size_t> next = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < connections; ++i) {
        threads.emplace_back([&] {
            each([&]() -> const std::string* {
                const auto at = next++;
                return at < names.size() ? &names[at] : nullptr;
            });
        });
    }
    for (auto& thread : threads) thread.join();
}

void put(const Server& server, int connections) {
    std::vector<std::string> names;
    DIR* directory = opendir(server.directory.c_str());
    if (directory == nullptr) give_up(server.directory);
    while (const dirent* entry = readdir(directory)) {
        if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
    }
    closedir(directory);
    spread(names, connections, [&](auto next) {
        Connection connection(server);
        while (const std::string* name = next()) {
            const auto path = server.directory + "/" + *name;
            const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
            struct stat status {};
            if (file < 0 || fstat(file, &status) != 0) give_up(path);
            connection.ask("PUT", *name + ".part", "Content-Length: " + std::to_string(status.st_size) + "\r\n", true);
            connection.send_file(file, status.st_size);
            close(file);
            connection.answer(2);
            connection.ask("MOVE", *name + ".part",
                           "Destination: http://127.0.0.1:" + std::to_string(server.port) + "/" + server.base + *name +
                               "\r\nOverwrite: F\r\nContent-Length: 0\r\n");
            connection.answer(2);
            unlink(path.c_str());
        }
    });
}

void get(const Server& server, int connections) {
    std::vector<std::string> names;
    {
        Connection connection(server);
        connection.ask("PROPFIND", "", "Depth: 1\r\nContent-Length: 0\r\n");
        const auto listing = connection.answer(2);
        const auto before = "href>/" + server.base;
        for (std::size_t at = 0; (at = listing.find(before, at)) != std::string::npos;) {
            at += before.size();
            const auto end = listing.find('<', at);
            if (end > at && listing[end - 1] != '/') names.push_back(listing.substr(at, end - at));
        }
    }
    spread(names, connections, [&](auto next) {
        Connection connection(server);
        while (const std::string* name = next()) {
            connection.ask("GET", *name, "");
            std::string plain;
            for (std::size_t i = 0; i < name->size(); ++i) {
                unsigned code = 0;
                if ((*name)[i] == '%' && i + 2 < name->size()) {
                    std::from_chars(name->data() + i + 1, name->data() + i + 3, code, 16);
                    i += 2;
                }
                plain += code != 0 ? static_cast<char>(code) : (*name)[i];
            }
            const auto path = server.directory + "/" + plain;
            const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
            if (file < 0) give_up(path);
            connection.answer(2, file);
            if (fsync(file) != 0) give_up(path);
            close(file);
            connection.ask("DELETE", *name, "");
            connection.answer(2);
        }
    });
}

// -- a distant server

struct Part {
    Clock::time_point due;
    std::string bytes;  // none: the end
};

struct Way {
    int from, to;
    std::deque<Part> parts;
    bool read = false;  // to its end
    bool done = false;
};

void far(std::uint16_t port, std::chrono::microseconds delay) {
    const int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    if (bind(listening, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 || listen(listening, 256) != 0 ||
        getsockname(listening, reinterpret_cast<sockaddr*>(&address), &length) != 0) {
        give_up("listen");
    }
    std::printf("%d\n", ntohs(address.sin_port));
    std::fflush(stdout);
    std::vector<std::unique_ptr<std::array<Way, 2>>> pairs;
    std::vector<char> buffer(1 << 18);
    for (;;) {
        std::vector<pollfd> polled{{listening, POLLIN, 0}};
        auto next = Clock::time_point::max();
        const auto now = Clock::now();
        for (const auto& pair : pairs) {
            for (auto& way : *pair) {
                // What waits is bounded: a window of 4 MB.
                polled.push_back({way.read || way.parts.size() > 64 ? -1 : way.from, POLLIN, 0});
                const bool ready = !way.parts.empty() && way.parts.front().due <= now;
                polled.push_back({ready ? way.to : -1, POLLOUT, 0});
                if (!way.parts.empty() && !ready) next = std::min(next, way.parts.front().due);
            }
        }
        timespec wait{};
        if (next != Clock::time_point::max()) {
            const auto left = std::chrono::duration_cast<std::chrono::nanoseconds>(next - now).count();
            wait = {left / 1'000'000'000, left % 1'000'000'000};
        }
        if (ppoll(polled.data(), polled.size(), next == Clock::time_point::max() ? nullptr : &wait, nullptr) < 0)
            give_up("ppoll");
        const auto came = Clock::now();
        std::size_t at = 1;
        for (const auto& pair : pairs) {
            for (auto& way : *pair) {
                if (polled[at++].revents != 0) {
                    const auto n = recv(way.from, buffer.data(), buffer.size(), MSG_DONTWAIT);
                    if (n > 0 || n == 0 || errno != EAGAIN) {
                        way.read = n <= 0;
                        way.parts.push_back(
                            {came + delay / 2, n > 0 ? std::string(buffer.data(), static_cast<std::size_t>(n)) : ""});
                    }
                }
                if (polled[at++].revents == 0) continue;
                auto& part = way.parts.front();
                const auto n = part.bytes.empty()
                                   ? 0
                                   : send(way.to, part.bytes.data(), part.bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
                if (n < 0 && errno == EAGAIN) continue;
                if (n <= 0) {
                    shutdown(way.to, SHUT_WR);
                    way.done = way.read = true;
                    way.parts.clear();
                    continue;
                }
                part.bytes.erase(0, static_cast<std::size_t>(n));
                if (part.bytes.empty()) way.parts.pop_front();
            }
        }
        std::erase_if(pairs, [](const auto& pair) {
            if (!(*pair)[0].done || !(*pair)[1].done) return false;
            close((*pair)[0].from);
            close((*pair)[0].to);
            return true;
        });
        if (polled[0].revents != 0) {
            const int client = accept4(listening, nullptr, nullptr, SOCK_CLOEXEC);
            if (client < 0) give_up("accept");
            const int on = 1;
            setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            const int server = connected(port);
            pairs.push_back(std::make_unique<std::array<Way, 2>>(
                std::array<Way, 2>{Way{client, server, {}}, Way{server, client, {}}}));
        }
    }
}

}  // namespace

int main(int argc, char** argv) {
    const std::string_view what = argc > 1 ? argv[1] : "";
    if (what == "far" && argc == 4) {
        far(static_cast<std::uint16_t>(std::atoi(argv[2])), std::chrono::microseconds(std::atol(argv[3])));
    }
    if (argc != 6 || (what != "put" && what != "get")) {
        std::fputs("usage: limit put|get PORT/BASE USER:PASSWORD DIRECTORY CONNECTIONS | limit far PORT MICROSECONDS\n",
                   stderr);
        return 64;
    }
    const std::string place = argv[2];
    const Server server{static_cast<std::uint16_t>(std::atoi(argv[2])), place.substr(place.find('/') + 1) + "/",
                        base64(argv[3]), argv[4]};
    (what == "put" ? put : get)(server, std::atoi(argv[5]));
    return 0;
}

// SPDX-License-Identifier: GPL-3.0-or-later
//
// What of MailServer tests/servers/test_mail.py does not see: mails that were offered and are not wanted any more.
#include "transport/mail_client.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <thread>
#include <variant>

#include "temporary_directory.hpp"

using namespace ums;
using transport::Mail;
using transport::Mailed;

namespace {

// LMTP on a socket, one connection after another; says yes to everything.
class Server {
  public:
    explicit Server(const std::string& path) : listener_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path.copy(address.sun_path, sizeof address.sun_path - 1);
        REQUIRE(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
        REQUIRE(::listen(listener_.get(), 5) == 0);
        thread_ = std::jthread([this] { serve(); });
    }
    ~Server() { ::shutdown(listener_.get(), SHUT_RDWR); }
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    std::atomic<int> connections = 0;
    std::atomic<int> open = 0;
    std::atomic<int> taken = 0;

  private:
    void serve() {
        for (;;) {
            const io::Fd one(::accept(listener_.get(), nullptr, nullptr));
            if (!one) return;
            ++connections;
            ++open;
            talk(one);
            --open;
        }
    }
    void talk(const io::Fd& one) {
        const auto say = [&](std::string_view text) {
            return ::send(one.get(), text.data(), text.size(), MSG_NOSIGNAL) > 0;
        };
        say("220 test\r\n");
        std::string heard;
        bool in_data = false;
        std::array<char, 4096> block{};
        for (;;) {
            const auto got = ::recv(one.get(), block.data(), block.size(), 0);
            if (got <= 0) return;
            heard.append(block.data(), static_cast<std::size_t>(got));
            for (auto end = heard.find("\r\n"); end != std::string::npos; end = heard.find("\r\n")) {
                const auto line = heard.substr(0, end);
                heard.erase(0, end + 2);
                if (in_data && line != ".") continue;
                if (in_data) ++taken;
                in_data = line == "DATA";
                say(in_data ? "354 go on\r\n" : "250 yes\r\n");
            }
        }
    }

    io::Fd listener_;
    std::jthread thread_;
};

}  // namespace

TEST_CASE("what was offered and is not wanted is never ended", "[mail]") {
    test::TemporaryDirectory directory;
    const auto path = directory.path() + "/socket";
    Server server(path);
    const transport::Library library;
    io::PosixDisk disk;
    transport::MailSettings settings;
    settings.connections = 1;
    settings.answer = std::chrono::seconds(20);
    const auto target = std::get<target::Target>(target::parse_target("lmtp://" + path, "/"));
    const auto client = transport::open_mail_server(target, settings, disk);
    const std::array<Mail, 1> mails{{{"", "a@b", {"Subject: x\r\n\r\n", nullptr, 0, Bytes{0}}}}};

    transport::MailAnswer why;
    REQUIRE(client->ready(3, why) == 1);
    REQUIRE(client->offer(mails).front().mailed == Mailed::yes);
    client->commit({false});
    // At once, not when the server has waited long enough for the rest.
    for (int i = 0; i < 1000 && server.open > 0; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    CHECK(server.open == 0);
    CHECK(server.taken == 0);

    // Nor if something else is offered over it.
    REQUIRE(client->ready(1, why) == 1);
    REQUIRE(client->offer(mails).front().mailed == Mailed::yes);
    REQUIRE(client->offer(mails).front().mailed == Mailed::yes);
    CHECK(server.taken == 0);
    REQUIRE(client->commit({true}).front().mailed == Mailed::yes);
    CHECK(server.taken == 1);
    CHECK(server.connections == 3);

    // Nor at the end.
    REQUIRE(client->offer(mails).front().mailed == Mailed::yes);
    client->hang_up();
    CHECK(server.taken == 1);
    REQUIRE(client->ready(1, why) == 1);
    CHECK(server.connections == 4);
}

// SPDX-License-Identifier: GPL-3.0-or-later
#include "transport/smb_wire.hpp"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace ums::transport::smb {

namespace {

struct Head {
    std::uint32_t length = 0;
    Kind kind = Kind::check;
};

constexpr std::size_t head_size = sizeof(std::uint32_t) + sizeof(Kind);

}  // namespace

Fields& Fields::add(std::uint64_t number) {
    bytes_.append(reinterpret_cast<const char*>(&number), sizeof number);
    return *this;
}

Fields& Fields::add(std::string_view text) {
    add(text.size());
    bytes_ += text;
    return *this;
}

std::uint64_t Fields::number() {
    std::uint64_t number = 0;
    if (bytes_.size() - next_ < sizeof number) return 0;
    std::memcpy(&number, bytes_.data() + next_, sizeof number);
    next_ += sizeof number;
    return number;
}

std::string_view Fields::text() {
    const auto length = number();
    if (bytes_.size() - next_ < length) return {};
    const std::string_view text(bytes_.data() + next_, length);
    next_ += length;
    return text;
}

bool send(const io::Fd& socket, Kind kind, const Fields& fields, const io::Fd* file) {
    const auto length = static_cast<std::uint32_t>(fields.bytes().size());
    std::array<char, head_size> head{};
    std::memcpy(head.data(), &length, sizeof length);
    head[sizeof length] = static_cast<char>(kind);

    std::array<iovec, 2> parts{{{head.data(), head.size()}, {const_cast<char*>(fields.bytes().data()), length}}};
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = parts.size();
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    if (file != nullptr) {
        message.msg_control = control.data();
        message.msg_controllen = control.size();
        auto* header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        const int fd = file->get();
        std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
    }
    while (message.msg_iovlen > 0) {
        const auto sent = ::sendmsg(socket.get(), &message, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0) return false;
        message.msg_control = nullptr;
        message.msg_controllen = 0;
        for (auto rest = static_cast<std::size_t>(sent); message.msg_iovlen > 0;) {
            auto& part = *message.msg_iov;
            const auto taken = std::min(rest, part.iov_len);
            part.iov_base = static_cast<char*>(part.iov_base) + taken;
            part.iov_len -= taken;
            rest -= taken;
            if (part.iov_len > 0) break;
            ++message.msg_iov;
            --message.msg_iovlen;
        }
    }
    return true;
}

bool Inbox::receive(const io::Fd& socket) {
    if (used_ > 0) {
        bytes_.erase(0, used_);
        used_ = 0;
    }
    std::array<char, 65'536> buffer;  // NOLINT(cppcoreguidelines-pro-type-member-init): filled by recvmsg
    iovec part{buffer.data(), buffer.size()};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    ssize_t got = 0;
    do {
        got = ::recvmsg(socket.get(), &message, MSG_CMSG_CLOEXEC);
    } while (got < 0 && errno == EINTR);
    if (got <= 0) return false;
    for (auto* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
        int fd = -1;
        std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
        file_ = io::Fd(fd);
    }
    bytes_.append(buffer.data(), static_cast<std::size_t>(got));
    return true;
}

std::optional<Frame> Inbox::next() {
    if (bytes_.size() - used_ < head_size) return std::nullopt;
    std::uint32_t length = 0;
    std::memcpy(&length, bytes_.data() + used_, sizeof length);
    if (bytes_.size() - used_ - head_size < length) return std::nullopt;
    Frame frame;
    frame.kind = static_cast<Kind>(bytes_[used_ + sizeof length]);
    frame.fields = Fields(bytes_.substr(used_ + head_size, length));
    frame.file = std::move(file_);
    used_ += head_size + length;
    return frame;
}

}  // namespace ums::transport::smb

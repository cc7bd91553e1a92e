// SPDX-License-Identifier: GPL-3.0-or-later
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>

#include "config/config.hpp"
#include "error/error.hpp"

namespace {

using namespace ums;

class Directory {
  public:
    Directory() {
        std::string name = (std::filesystem::temp_directory_path() / "ums-secret-XXXXXX").string();
        REQUIRE(::mkdtemp(name.data()));
        path_ = name;
    }
    ~Directory() { std::filesystem::remove_all(path_); }
    std::string file(const std::string& name, const std::string& content, mode_t mode) const {
        const std::string path = path_ / name;
        std::ofstream(path, std::ios::binary) << content;
        REQUIRE(::chmod(path.c_str(), mode) == 0);
        return path;
    }
    const std::filesystem::path& path() const { return path_; }

  private:
    std::filesystem::path path_;
};

config::Secret in_file(const std::string& path) { return {.file = path, .command = "", .credential = ""}; }
config::Secret of_command(const std::string& command) { return {.file = "", .command = command, .credential = ""}; }

// The failure of reading it; "no failure" with the value if there is none.
Error failure(const config::Secret& secret) {
    try {
        return {Fault::internal, "no failure: " + config::read_secret(secret)};
    } catch (const Error& error) {
        return error;
    }
}

TEST_CASE("a secret file gives its first line") {
    const Directory directory;
    CHECK(config::read_secret(in_file(directory.file("a", "hunter2\n", 0600))) == "hunter2");
    CHECK(config::read_secret(in_file(directory.file("b", "hunter2", 0400))) == "hunter2");
    CHECK(config::read_secret(in_file(directory.file("c", " h\xc3\xbc\t2 \r\nnote: of 2024\n", 0600))) ==
          " h\xc3\xbc\t2 ");
    CHECK(config::read_secret({}).empty());
}

TEST_CASE("a secret file that others can use is refused") {
    const Directory directory;
    for (const mode_t mode : {0604U, 0602U, 0601U, 0620U, 0610U, 0644U, 0666U, 0777U}) {
        const auto error = failure(in_file(directory.file("a", "hunter2\n", mode)));
        INFO(mode);
        CHECK(error.fault() == Fault::permission);
        CHECK(std::string(error.what()).find("others can read or change it") != std::string::npos);
        CHECK(std::string(error.what()).find("hunter2") == std::string::npos);
    }
}

TEST_CASE("a secret file of root may be read by a group of ours, one of another user by no group") {
    const Directory directory;
    const auto path = directory.file("a", "hunter2\n", 0640);
    if (::geteuid() != 0) {
        CHECK(failure(in_file(path)).fault() == Fault::permission);
        return;
    }
    CHECK(config::read_secret(in_file(path)) == "hunter2");
    REQUIRE(::chown(path.c_str(), 0, 54321) == 0);
    CHECK(failure(in_file(path)).fault() == Fault::permission);
    REQUIRE(::chown(path.c_str(), 54321, ::getegid()) == 0);
    CHECK(failure(in_file(path)).fault() == Fault::permission);
    REQUIRE(::chmod(path.c_str(), 0600) == 0);
    CHECK(config::read_secret(in_file(path)) == "hunter2");
}

TEST_CASE("what is no usable secret file is a mistake of the configuration") {
    const Directory directory;
    const auto fifo = (directory.path() / "fifo").string();
    REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
    using Case = std::pair<std::string, std::string>;
    for (const auto& [path, part] : {Case{(directory.path() / "none").string(), "No such file"},
                                     Case{directory.path().string(), "no regular file"}, Case{fifo, "no regular file"},
                                     Case{directory.file("empty", "", 0600), "is empty"},
                                     Case{directory.file("newline", "\nhunter2\n", 0600), "is empty"},
                                     Case{directory.file("nul", std::string("a\0b", 3), 0600), "NUL"},
                                     Case{directory.file("long", std::string(5000, 'x'), 0600), "longer than"}}) {
        const auto error = failure(in_file(path));
        INFO(error.what());
        CHECK(error.fault() == Fault::configuration);
        CHECK(std::string(error.what()).find(part) != std::string::npos);
    }
}

TEST_CASE("a password command gives the first line of its output") {
    CHECK(config::read_secret(of_command("echo hunter2")) == "hunter2");
    CHECK(config::read_secret(of_command("printf 'hunter%s' 2; echo; echo more")) == "hunter2");
    CHECK(config::read_secret(of_command("cat; echo hunter2")) == "hunter2");  // stdin is empty
    CHECK(config::read_secret(of_command("echo hunter2; head -c 300000 /dev/zero")) == "hunter2");
}

TEST_CASE("a password command that fails gives nothing, and says neither itself nor its output") {
    using Case = std::pair<std::string, std::string>;
    for (const auto& [command, part] :
         {Case{"echo hunter2; exit 3", "exit status 3"}, Case{"kill -9 $$", "signal 9"},
          Case{"/nonexistent/hunter2 2>/dev/null", "exit status 127"}, Case{"true", "is empty"},
          Case{"echo", "is empty"}, Case{"head -c 5000 /dev/zero | tr '\\0' x", "longer"}}) {
        const auto error = failure(of_command(command));
        INFO(error.what());
        CHECK(error.fault() == Fault::configuration);
        CHECK(std::string(error.what()).find(part) != std::string::npos);
        CHECK(std::string(error.what()).find("hunter2") == std::string::npos);
    }
}

TEST_CASE("a credential lies in the directory that systemd names") {
    const Directory directory;
    directory.file("kernel1", "hunter2\n", 0440);
    directory.file("open", "hunter2\n", 0444);
    const config::Secret secret{.file = "", .command = "", .credential = "kernel1"};
    ::unsetenv("CREDENTIALS_DIRECTORY");
    CHECK(std::string(failure(secret).what()).find("CREDENTIALS_DIRECTORY is not set") != std::string::npos);
    ::setenv("CREDENTIALS_DIRECTORY", directory.path().c_str(), 1);
    CHECK(config::read_secret(secret) == "hunter2");
    CHECK(failure({.file = "", .command = "", .credential = "open"}).fault() == Fault::permission);
    CHECK(failure({.file = "", .command = "", .credential = "none"}).fault() == Fault::configuration);
    ::unsetenv("CREDENTIALS_DIRECTORY");
}

}  // namespace

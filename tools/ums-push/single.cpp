// SPDX-License-Identifier: GPL-3.0-or-later
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "delivery/courier.hpp"
#include "delivery/letter.hpp"
#include "delivery/store_of.hpp"
#include "health/health.hpp"
#include "options.hpp"
#include "text/text.hpp"

namespace ums::push {

namespace {

/// A stream in a nameless file: what is sent must be readable twice.
io::Fd buffered(int stream, const std::string& name, io::Disk& disk) {
    auto fd = io::temporary_file();
    std::vector<char> buffer(256 * 1024);
    for (;;) {
        const auto n = ::read(stream, buffer.data(), buffer.size());
        if (n < 0 && errno == EINTR && !cli::stopping()) continue;
        if (n < 0) throw system_error(Fault::cannot_read, "read " + name, errno);
        if (n == 0) return fd;
        disk.write(fd, {buffer.data(), static_cast<std::size_t>(n)}, "a temporary file");
    }
}

/// A kernel that the administrator has disabled gets nothing, by hand or not.
void refuse_if_disabled(const std::string& kernel, const std::string& spool_root, io::Disk& disk) {
    if (health::Files(disk, spool_root + "/state").load_admin(kernel).admin != health::Admin::disabled) return;
    throw Error(Fault::later, "kernel " + text::quote(kernel) +
                                  " is disabled; nothing was sent ('ums-failover enable' uses it again)");
}

/// The record is the spool's; without a spool there is none.
void record(const cli::Common& common, const config::Config& config, const spool::EntryName& name,
            const report::Line& line, io::Disk& disk, const clock::Clock& clock) {
    const auto root = cli::spool_root(common, config);
    try {
        if (!disk.info(root + "/VERSION")) return;
        const spool::Spool spool(disk, clock, root, config.mds.id, spool::NetworkFileSystem::allow,
                                 spool::Opening::examine);
        const std::array<spool::Spool::Event, 1> event{
            {{std::string(name.id()), std::string(report::to_string(line.result)), "by hand: " + line.detail}}};
        spool.journal("ums-push", event);
    } catch (const Error&) {  // the message has left, whatever the record says
    }
}

/// One mail for each recipient, one after another. What is worst of them is the exit code.
template <typename Tell>
int mail_single(const cli::Common& common, const std::string& path, const config::Config& config,
                const config::Connector& connector, const spool::EntryName& name, const io::Fd& file, io::Disk& disk,
                report::Reporter& reporter, const Tell& tell) {
    using report::Result;
    using transport::Mailed;
    auto letter = delivery::Postmark(config, connector).letter(disk, file, path, name);
    const auto where = [&](const std::string& recipient) { return connector.name + " <" + recipient + ">"; };
    if (common.dry_run) {
        for (const auto& one : letter.recipients) {
            reporter.line({name.text(), Result::delivered, "would be sent to " + where(one), {}});
        }
        return 0;
    }
    const auto server = delivery::mail_server_of(connector, disk, cli::stopping);
    cli::ExitCode code;
    for (const auto& recipient : letter.recipients) {
        const std::array<transport::Mail, 1> mail{
            {{letter.sender, recipient, {letter.head, &file, letter.body_offset, letter.body_length}}}};
        transport::MailAnswer answer;
        if (server->ready(1, answer) > 0) answer = server->offer(mail).front();
        if (answer.mailed == Mailed::yes) answer = server->commit({true}).front();
        const std::string detail = where(recipient) + ": " + answer.answer.text;
        const auto verdict = answer.answer.verdict;
        switch (answer.mailed) {
            case Mailed::yes:
                tell({name.text(),
                      Result::delivered,
                      where(recipient) + " " + answer.answer.text,
                      {{"target", connector.name}}});
                break;
            case Mailed::unknown:
                tell({name.text(), Result::in_doubt, detail, {}});
                code.note(exit_code(Fault::later));
                break;
            default:
                reporter.error("cannot deliver to " + text::escape(detail) + "; nothing arrived there");
                code.note(exit_code(answer.mailed == Mailed::never               ? Fault::unusable
                                    : verdict == transport::Verdict::unreachable ? Fault::unreachable
                                    : verdict == transport::Verdict::denied      ? Fault::permission
                                                                                 : Fault::later));
        }
    }
    return code.value();
}

}  // namespace

int push_single(const cli::Common& common, const Options& options, const config::Config& config,
                report::Reporter& reporter) {
    if (options.to.size() != 1) throw Error(Fault::usage, "where to? Give one --to NAME with a FILE or -");
    const auto& to = options.to.front();
    const auto* kernel = config.kernel(to);
    const auto* connector = config.connector(to);
    if (kernel == nullptr && connector == nullptr) {
        throw Error(Fault::usage, "the configuration has no kernel and no connector " + text::quote(to));
    }
    std::string owner = options.connector;
    if (kernel != nullptr) {
        if (owner.empty() && config.connectors.size() == 1) owner = config.connectors.front().name;
        if (owner.empty()) throw Error(Fault::usage, "whose message is it? Give --connector NAME");
        if (config.connector(owner) == nullptr) {
            throw Error(Fault::usage, "the configuration has no connector " + text::quote(owner));
        }
    } else if (!connector->root && !connector->deliver) {
        throw Error(Fault::usage, "the connector " + text::quote(to) + " has no root to deliver to");
    }
    io::PosixDisk disk;
    const clock::SystemClock clock;
    if (kernel != nullptr) refuse_if_disabled(to, cli::spool_root(common, config), disk);
    io::Fd file;
    if (options.file == "-") {
        file = buffered(STDIN_FILENO, "standard input", disk);
    } else {
        file = io::Fd(::open(options.file.c_str(), O_RDONLY | O_CLOEXEC));
        if (!file) {
            throw system_error(fault_of_errno(errno, Fault::cannot_read), "open " + text::quote(options.file), errno);
        }
        // A pipe, such as <(...) of a shell, can be read once.
        if (disk.info(file, options.file).kind != io::FileKind::regular) {
            file = buffered(file.get(), text::quote(options.file), disk);
        }
    }
    // Whoever may read the file; but what is made at the target belongs to who carries the rest.
    static_cast<void>(cli::spool_root_as_owner(common, config));
    auto name = spool::EntryName::make(clock.now(), config.mds.id);
    if (!owner.empty()) name = name.with(spool::attribute::connector, owner);
    const auto tell = [&](const report::Line& line) {
        reporter.line(line);
        record(common, config, name, line, disk, clock);
    };
    if (connector != nullptr && connector->deliver) {
        return mail_single(common, options.file, config, *connector, name, file, disk, reporter, tell);
    }
    const auto destination =
        kernel != nullptr ? delivery::destination_of(config, *kernel) : delivery::destination_of(config, *connector);
    const auto header = message::read_header(disk, file, options.file);
    const auto directory = destination.directory(name).value();
    const auto token = io::random_token();
    const std::string stage = destination.stage + "/" + std::string(name.id()) + ".single";
    const std::string final = directory + "/" + delivery::final_name(name, token, destination.extension);
    const Bytes size = disk.info(file, options.file).size;
    if (common.dry_run) {
        reporter.line({name.text(), report::Result::delivered, "would be sent to " + to + " " + final, {}});
        return 0;
    }

    io::PosixDisk outside(io::Sharing::by_umask);
    const auto store =
        kernel != nullptr ? delivery::store_of(*kernel, outside) : delivery::store_of(*connector, outside);
    const auto fail = [&](const transport::Answer& answer) {
        const auto fault = answer.verdict == transport::Verdict::unreachable ? Fault::unreachable
                           : answer.verdict == transport::Verdict::denied    ? Fault::permission
                           : answer.verdict == transport::Verdict::refused   ? Fault::unusable
                                                                             : Fault::later;
        throw Error(fault,
                    "cannot deliver to " + text::quote(to) + ": " + text::escape(answer.text) + "; nothing arrived");
    };
    // Without a stage there is nothing to revoke: it is there, or was refused, or nobody knows.
    const auto end_in_place = [&](transport::Answer answer) {
        using transport::Verdict;
        const bool stored = answer.done() || answer.text.starts_with("stored, but");
        const bool refused = answer.verdict == Verdict::unreachable || answer.verdict == Verdict::denied ||
                             answer.verdict == Verdict::refused || answer.verdict == Verdict::absent;
        if (!stored && refused) fail(answer);
        const std::array<std::string, 1> final_only{final};
        std::vector<transport::Item> items;
        const bool found = !stored && store->look(final_only, items).front().done() &&
                           items[0].kind == transport::ItemKind::file && items[0].size == size;
        const std::array<std::string, 1> directories{directory};
        if (stored || found) answer = store->sync(directories);
        if (answer.done()) {
            tell({name.text(), report::Result::delivered, to + " " + final, {{"target", to}}});
            return 0;
        }
        tell({name.text(), report::Result::in_doubt, to + " " + final + ": " + answer.text, {}});
        return exit_code(Fault::later);
    };
    auto answer = destination.in_place ? transport::Answer{} : store->make_directory(destination.stage);
    if (answer.done()) answer = store->make_directory(directory.substr(0, directory.find('/')));
    if (answer.done() && directory.find('/') != std::string::npos) answer = store->make_directory(directory);
    if (!answer.done()) fail(answer);
    const std::array<transport::Upload, 1> upload{{{destination.in_place ? final : stage, {"", &file, 0, size}}}};
    answer = store->upload(upload).front();
    if (destination.in_place) return end_in_place(answer);
    const std::array<std::string, 1> stage_only{stage};
    if (!answer.done()) {
        store->remove(stage_only);
        fail(answer);
    }
    const std::array<transport::Rename, 1> rename{{{stage, final}}};
    answer = store->rename(rename).front();
    const std::array<std::string, 2> directories{directory, destination.stage};
    if (!answer.done()) {
        // The doubt is resolved as in delivery::Courier: revoke the stage name, then look. Without a witness only what is
        // seen counts.
        const std::string revoked = stage + ".revoked";
        const std::array<transport::Rename, 1> revoke{{{stage, revoked, true}}};
        const bool held = store->rename(revoke).front().held;
        const std::array<std::string, 2> paths{revoked, final};
        std::vector<transport::Item> items;
        const auto looks = store->look(paths, items);
        const std::array<std::string, 1> revoked_only{revoked};
        if (looks[1].done() && items[1].kind == transport::ItemKind::file && items[1].size == size) {
            if (looks[0].done()) store->remove(revoked_only);
        } else if (!held && looks[0].done() && looks[1].verdict == transport::Verdict::absent) {
            store->remove(revoked_only);
            fail(answer);
        } else {
            tell({name.text(), report::Result::in_doubt, to + " " + final + ": " + answer.text, {}});
            return exit_code(Fault::later);
        }
    }
    if (const auto synced = store->sync(directories); !synced.done()) {
        tell({name.text(), report::Result::in_doubt, to + " " + final + ": " + synced.text, {}});
        return exit_code(Fault::later);
    }
    tell({name.text(), report::Result::delivered, to + " " + final, {{"target", to}}});
    return 0;
}

}  // namespace ums::push

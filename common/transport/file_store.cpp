// SPDX-License-Identifier: GPL-3.0-or-later
#include "transport/file_store.hpp"

#include <algorithm>
#include <cerrno>
#include <exception>
#include <utility>

#include "error/error.hpp"
#include "text/text.hpp"
#include "transport/paths.hpp"

namespace ums::transport {

namespace {

// So many files are open at a time: enough for the disk to write their contents together.
constexpr std::size_t batch = 64;

bool is_our_own(int error) { return error == EMFILE || error == ENFILE || error == ENOMEM; }

Answer absent(const std::string& path) {
    return {.verdict = Verdict::absent, .text = text::quote(path) + " is not there"};
}

constexpr std::string_view no_links = "; below the root of a kernel or connector none is followed";

void replace_all(std::string& text, const std::string& from, const std::string& to) {
    for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
        text.replace(at, from.size(), to);
    }
}

Item to_item(std::string name, const io::FileInfo& info) {
    Item item;
    item.name = std::move(name);
    item.kind = info.kind == io::FileKind::regular     ? ItemKind::file
                : info.kind == io::FileKind::directory ? ItemKind::directory
                                                       : ItemKind::other;
    item.size = info.size;
    item.version =
        std::to_string(info.modified_ns) + "-" + std::to_string(info.inode) + "-" + std::to_string(info.size.count);
    item.modified = std::chrono::floor<std::chrono::seconds>(
        std::chrono::sys_time<std::chrono::nanoseconds>(std::chrono::nanoseconds(info.modified_ns)));
    return item;
}

}  // namespace

Verdict verdict_of_errno(int error) noexcept {
    switch (error) {
        case ENOENT:
        case ENOTDIR: return Verdict::absent;
        case EEXIST:
        case ENOTEMPTY: return Verdict::exists;
        case EACCES:
        case EPERM: return Verdict::denied;
        case ENOSPC:
        case EDQUOT: return Verdict::full;
        case ENAMETOOLONG:
        case EILSEQ:
        case EINVAL:
        case EISDIR:
        case EFBIG:
        case ELOOP: return Verdict::refused;
        default: return Verdict::broken;
    }
}

// The directories of one call. The disk is told names below /proc/self/fd, people the names that they know.
class FileStore::Reach {
  public:
    Reach(const std::string& root, io::Disk& disk) : root_(root), disk_(disk) {}

    /// Where the disk finds `path`, which is not empty.
    std::string at(const std::string& path) {
        const auto slash = path.rfind('/');
        if (slash == std::string::npos) return handle("") + "/" + path;
        return handle(path.substr(0, slash)) + path.substr(slash);
    }
    /// Where the disk finds the directory itself. Throws if it is a link, too.
    std::string inside(const std::string& directory) { return handle(directory) + "/."; }

    /// The answer to what the disk could not do. Throws what is our own fault.
    Answer answer_of(const Error& error) const {
        std::string said = error.what();
        for (const auto& [directory, fd] : open_) {
            const std::string quoted = text::quote(directory.empty() ? root_ : join(root_, directory));
            const std::string known = quoted.substr(1, quoted.size() - 2);
            replace_all(said, proc(fd) + "/.'", known + "'");
            replace_all(said, proc(fd) + "/", known + "/");
        }
        if (is_our_own(error.error_number())) throw Error(error.fault(), said, error.error_number());
        return {.verdict = verdict_of_errno(error.error_number()), .text = said};
    }
    /// The answer to what may fail on the other side.
    template <typename Work>
    Answer attempt(Work work) {
        try {
            return work();
        } catch (const Error& error) {
            return answer_of(error);
        }
    }

  private:
    static std::string proc(const io::Fd& fd) { return "/proc/self/fd/" + std::to_string(fd.get()); }

    std::string handle(const std::string& directory) {
        const auto known =
            std::find_if(open_.begin(), open_.end(), [&](const auto& one) { return one.first == directory; });
        if (known != open_.end()) return proc(known->second);
        try {
            auto fd = disk_.open_directory(root_, directory);
            // A batch has a few; more of them must not cost all of our descriptors.
            if (open_.size() >= most_open) open_.erase(open_.begin());
            open_.emplace_back(directory, std::move(fd));
        } catch (const Error& error) {
            const int number = error.error_number();
            if (number == ELOOP) throw Error(Fault::permission, error.what() + std::string(no_links), EACCES);
            if (number == ENOENT || number == ENOTDIR)
                throw Error(error.fault(), text::quote(join(root_, directory)) + " is not there", number);
            throw;
        }
        return proc(open_.back().second);
    }

    static constexpr std::size_t most_open = 16;
    const std::string& root_;
    io::Disk& disk_;
    std::vector<std::pair<std::string, io::Fd>> open_;
};

FileStore::FileStore(std::string root, io::Disk& disk) : root_(std::move(root)), disk_(disk) {}

std::string FileStore::full(const std::string& path) const { return path.empty() ? root_ : join(root_, path); }

Answer FileStore::root_answer() {
    auto answer = Reach(root_, disk_).attempt([&]() -> Answer {
        // `/.` follows a link, which a configured directory may be.
        const auto info = disk_.info(root_ + "/.");
        if (info && info->kind == io::FileKind::directory) return {};
        return {.verdict = Verdict::unreachable, .text = "the directory " + text::quote(root_) + " is not there"};
    });
    // A dead mount (ESTALE, EIO, EHOSTDOWN) shows here, before anything was touched.
    if (answer.verdict == Verdict::broken) answer.verdict = Verdict::unreachable;
    return answer;
}

Answer FileStore::list(const std::string& directory, const std::function<bool(const Item&)>& each) {
    if (!is_safe_path(directory, Root::allowed)) return unsafe_path(directory);
    if (auto root = root_answer(); !root.done()) return root;
    Reach reach(root_, disk_);
    std::exception_ptr callers;  // what `each` throws is not the directory's answer
    auto answer = reach.attempt([&]() -> Answer {
        const std::string path = reach.inside(directory);
        const bool there = disk_.list(path, [&](std::string_view name) {
            const auto info = disk_.info(path + "/" + std::string(name));
            if (!info) return true;  // gone since
            try {
                return each(to_item(std::string(name), *info));
            } catch (...) {
                callers = std::current_exception();
                return false;
            }
        });
        return there ? Answer{} : absent(full(directory));
    });
    if (callers) std::rethrow_exception(callers);
    return answer;
}

Answer FileStore::look_at(Reach& reach, const std::string& path, Item& item) {
    if (!is_safe_path(path, Root::allowed)) return unsafe_path(path);
    return reach.attempt([&]() -> Answer {
        const auto info = disk_.info(path.empty() ? reach.inside("") : reach.at(path));
        if (!info) return absent(full(path));
        item = to_item(io::name_of(full(path)), *info);
        return {};
    });
}

std::vector<Answer> FileStore::look(std::span<const std::string> paths, std::vector<Item>& items) {
    items.assign(paths.size(), {});
    if (auto root = root_answer(); !root.done()) return std::vector<Answer>(paths.size(), root);
    Reach reach(root_, disk_);
    std::vector<Answer> answers;
    answers.reserve(paths.size());
    for (std::size_t i = 0; i < paths.size(); ++i) answers.push_back(look_at(reach, paths[i], items[i]));
    return answers;
}

std::vector<Answer> FileStore::upload(std::span<const Upload> uploads) {
    if (auto root = root_answer(); !root.done()) return std::vector<Answer>(uploads.size(), root);
    Reach reach(root_, disk_);
    std::vector<Answer> answers(uploads.size());
    for (std::size_t i = 0; i < uploads.size(); i += batch) {
        const std::size_t count = std::min(batch, uploads.size() - i);
        upload_some(reach, uploads.subspan(i, count), std::span(answers).subspan(i, count));
    }
    return answers;
}

void FileStore::upload_some(Reach& reach, std::span<const Upload> uploads, std::span<Answer> answers) {
    std::vector<std::pair<std::size_t, io::Fd>> written;
    for (std::size_t i = 0; i < uploads.size(); ++i) {
        if (!is_safe_path(uploads[i].path, Root::forbidden)) {
            answers[i] = unsafe_path(uploads[i].path);
            continue;
        }
        std::string path;
        answers[i] = reach.attempt([&]() -> Answer {
            path = reach.at(uploads[i].path);
            return {};
        });
        if (!answers[i].done()) continue;
        try {
            written.emplace_back(i, write_new(uploads[i], path));
        } catch (const Error& error) {
            if (error.fault() == Fault::cannot_read) throw;  // the source, which is ours; the target is only written
            answers[i] = reach.answer_of(error);
        }
    }
    std::vector<const io::Fd*> fds;
    fds.reserve(written.size());
    for (const auto& [i, fd] : written) fds.push_back(&fd);
    const auto synced = reach.attempt([&]() -> Answer {
        disk_.sync_all(fds, root_);
        return {};
    });
    if (synced.done()) return;
    // Which of them it was is not known, so none of them counts as stored.
    for (const auto& one : written) {
        answers[one.first] = synced;
        static_cast<void>(reach.attempt([&]() -> Answer {
            discard(reach.at(uploads[one.first].path));
            return {};
        }));
    }
}

io::Fd FileStore::write_new(const Upload& upload, const std::string& path) {
    io::Fd fd = disk_.create(path);
    try {
        disk_.write(fd, upload.body.head, path);
        if (upload.body.length.count > 0) {
            disk_.copy(*upload.body.file, upload.body.offset, upload.body.length, fd, path);
        }
        const Bytes size = disk_.info(fd, path).size;
        if (size != upload.body.size()) {
            throw Error(Fault::cannot_write, text::quote(path) + " has " + std::to_string(size.count) + " bytes, not " +
                                                 std::to_string(upload.body.size().count));
        }
    } catch (...) {
        discard(path);
        throw;
    }
    return fd;
}

// Of what we created under a name that was free. A full disk needs its room back, and what stays is only litter.
void FileStore::discard(const std::string& path) {
    try {
        disk_.remove(path);
    } catch (const Error&) {
    }
}

std::vector<Answer> FileStore::rename(std::span<const Rename> renames) {
    if (auto root = root_answer(); !root.done()) return std::vector<Answer>(renames.size(), root);
    Reach reach(root_, disk_);
    std::vector<Answer> answers;
    answers.reserve(renames.size());
    for (const auto& one : renames) {
        const auto& from = one.from;
        const auto& to = one.to;
        if (!is_safe_path(from, Root::forbidden) || !is_safe_path(to, Root::forbidden)) {
            answers.push_back(unsafe_path(is_safe_path(from, Root::forbidden) ? to : from));
            continue;
        }
        answers.push_back(reach.attempt([&]() -> Answer {
            switch (disk_.rename(reach.at(from), reach.at(to))) {
                case io::Renamed::moved: return {};
                case io::Renamed::source_missing:
                    return {.verdict = Verdict::absent,
                            .text = text::quote(full(from)) + " or the directory of " + text::quote(full(to)) +
                                    " is not there"};
                case io::Renamed::target_exists: break;
            }
            return {.verdict = Verdict::exists, .text = text::quote(full(to)) + " exists"};
        }));
    }
    return answers;
}

Answer FileStore::download_one(Reach& reach, Download& download) {
    const std::string path = full(download.path);
    std::optional<io::Fd> fd;
    auto answer = reach.attempt([&]() -> Answer {
        const std::string where = reach.at(download.path);
        fd = disk_.open(where);
        if (fd) return {};
        if (!disk_.info(where)) return absent(path);
        return {.verdict = Verdict::refused, .text = text::quote(path) + " is no regular file"};
    });
    if (!answer.done()) return answer;
    const auto wrong_size = [&](Bytes size) -> Answer {
        return {.verdict = Verdict::broken,
                .text = text::quote(path) + " has " + std::to_string(size.count) + " bytes, not " +
                        std::to_string(download.expected.count)};
    };
    Bytes size;
    answer = reach.attempt([&]() -> Answer {
        size = disk_.info(*fd, path).size;
        return size == download.expected ? Answer{} : wrong_size(size);
    });
    if (!answer.done()) return answer;
    try {
        disk_.copy(*fd, 0, size, *download.into, path);
    } catch (const Error& error) {
        // A copy within the kernel says of EIO not which side it was; read again later, it shows.
        if (error.fault() == Fault::cannot_read || error.error_number() == EIO) return reach.answer_of(error);
        throw;
    }
    download.received = size;
    return reach.attempt([&]() -> Answer {
        const Bytes now = disk_.info(*fd, path).size;
        return now == size ? Answer{} : wrong_size(now);
    });
}

std::vector<Answer> FileStore::download(std::span<Download> downloads) {
    if (auto root = root_answer(); !root.done()) return std::vector<Answer>(downloads.size(), root);
    Reach reach(root_, disk_);
    std::vector<Answer> answers;
    answers.reserve(downloads.size());
    for (auto& download : downloads) {
        download.received = {};
        answers.push_back(is_safe_path(download.path, Root::forbidden) ? download_one(reach, download)
                                                                       : unsafe_path(download.path));
    }
    return answers;
}

Answer FileStore::read(const std::string& path, Bytes limit, std::string& content) {
    if (!is_safe_path(path, Root::forbidden)) return unsafe_path(path);
    if (auto root = root_answer(); !root.done()) return root;
    Reach reach(root_, disk_);
    return reach.attempt([&]() -> Answer {
        auto whole = io::read_file(disk_, reach.at(path), limit);
        if (!whole) return absent(full(path));
        content = std::move(*whole);
        return {};
    });
}

std::vector<Answer> FileStore::remove(std::span<const std::string> paths) {
    if (auto root = root_answer(); !root.done()) return std::vector<Answer>(paths.size(), root);
    Reach reach(root_, disk_);
    std::vector<Answer> answers;
    answers.reserve(paths.size());
    for (const auto& path : paths) {
        if (!is_safe_path(path, Root::forbidden)) {
            answers.push_back(unsafe_path(path));
            continue;
        }
        answers.push_back(
            reach.attempt([&]() -> Answer { return disk_.remove(reach.at(path)) ? Answer{} : absent(full(path)); }));
    }
    return answers;
}

Answer FileStore::make_directory(const std::string& path) {
    if (!is_safe_path(path, Root::forbidden)) return unsafe_path(path);
    if (auto root = root_answer(); !root.done()) return root;
    Reach reach(root_, disk_);
    return reach.attempt([&]() -> Answer {
        const std::string where = reach.at(path);
        const bool made = disk_.make_directory(where);
        const auto info = disk_.info(where);
        if (made || (info && info->kind == io::FileKind::directory)) {
            // Also one that was there: who made it may have died before its name was durable. But not in a directory that we
            // may not read.
            try {
                const auto slash = path.rfind('/');
                disk_.sync_directory(reach.inside(slash == std::string::npos ? "" : path.substr(0, slash)));
            } catch (const Error& error) {
                if (made || error.fault() != Fault::permission) throw;
            }
            return {};
        }
        if (info && info->kind == io::FileKind::symlink)
            return {.verdict = Verdict::denied,
                    .text = text::quote(full(path)) + " is a symbolic link" + std::string(no_links)};
        return {.verdict = Verdict::exists, .text = text::quote(full(path)) + " exists and is no directory"};
    });
}

Answer FileStore::sync(std::span<const std::string> directories) {
    for (const auto& directory : directories) {
        if (!is_safe_path(directory, Root::allowed)) return unsafe_path(directory);
    }
    if (auto root = root_answer(); !root.done()) return root;
    Reach reach(root_, disk_);
    return reach.attempt([&]() -> Answer {
        for (const auto& directory : directories) disk_.sync_directory(reach.inside(directory));
        return {};
    });
}

std::string FileStore::describe() const { return "directory " + text::quote(root_); }

}  // namespace ums::transport

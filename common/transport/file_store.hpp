// SPDX-License-Identifier: GPL-3.0-or-later
//
// A local directory (or a mounted one) as a store; private to the transport module, see open_store().
//
// The root must be there: it is never created, because a directory that is not mounted would swallow messages. All disk
// calls go through io::Disk.
//
// The root may be or pass through symbolic links: the administrator's. Below it, where a kernel, a connector or who writes
// there could plant one, none is followed: what lies behind it is `denied`. That holds against somebody who changes
// directories while we work, too: each directory is opened once for a call, segment by segment, and what is done in it is
// done through /proc/self/fd, which must be mounted.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "transport/store.hpp"

namespace ums::transport {

class FileStore final : public Store {
  public:
    FileStore(std::string root, io::Disk& disk);

    Answer list(const std::string& directory, const std::function<bool(const Item&)>& each) override;
    std::vector<Answer> look(std::span<const std::string> paths, std::vector<Item>& items) override;
    std::vector<Answer> upload(std::span<const Upload> uploads) override;
    std::vector<Answer> rename(std::span<const Rename> renames) override;
    std::vector<Answer> download(std::span<Download> downloads) override;
    Answer read(const std::string& path, Bytes limit, std::string& content) override;
    std::vector<Answer> remove(std::span<const std::string> paths) override;
    Answer make_directory(const std::string& path) override;
    Answer sync(std::span<const std::string> directories) override;
    std::string describe() const override;

  private:
    class Reach;
    std::string full(const std::string& path) const;
    Answer root_answer();
    Answer look_at(Reach& reach, const std::string& path, Item& item);
    void upload_some(Reach& reach, std::span<const Upload> uploads, std::span<Answer> answers);
    io::Fd write_new(const Upload& upload, const std::string& path);
    void discard(const std::string& path);
    Answer download_one(Reach& reach, Download& download);

    std::string root_;
    io::Disk& disk_;
};

/// What an errno value means as an answer of a directory. Running out of our own descriptors or memory is no answer.
Verdict verdict_of_errno(int error) noexcept;

}  // namespace ums::transport

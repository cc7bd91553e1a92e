// SPDX-License-Identifier: GPL-3.0-or-later
#include "transport/store.hpp"

#include <curl/curl.h>
#include <malloc.h>

#include <unistd.h>
#include <cstdlib>

#include <cerrno>

#include "error/error.hpp"
#include "text/text.hpp"
#include "transport/dav_store.hpp"
#include "transport/file_store.hpp"
#include "transport/smb_store.hpp"

namespace ums::transport {

std::string_view to_string(Verdict verdict) noexcept {
    switch (verdict) {
        case Verdict::done: return "done";
        case Verdict::absent: return "absent";
        case Verdict::exists: return "exists";
        case Verdict::refused: return "refused";
        case Verdict::denied: return "denied";
        case Verdict::full: return "full";
        case Verdict::broken: return "broken";
        case Verdict::unreachable: return "unreachable";
        case Verdict::unknown: return "unknown";
    }
    return "unknown";
}

void Store::take(std::span<Take> takes) {
    std::vector<Rename> renames;
    for (auto& one : takes) {
        one.download.path = one.claim.to;
        renames.push_back(one.claim);
    }
    const auto claimed = rename(renames);
    std::vector<Download> downloads;
    std::vector<Take*> wanted;
    for (std::size_t i = 0; i < takes.size(); ++i) {
        takes[i].claimed = claimed[i];
        if (!claimed[i].done()) continue;
        downloads.push_back(takes[i].download);
        wanted.push_back(&takes[i]);
    }
    const auto received = download(downloads);
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        wanted[i]->download.received = downloads[i].received;
        wanted[i]->received = received[i];
    }
}

Answer Store::remove_directory(const std::string& path) {
    return {.verdict = Verdict::refused, .text = "no directory is removed here: " + text::quote(path)};
}

namespace {

// libcurl would find out at the first connection only, and then call it the other side's fault.
void require_readable(const std::string& path, std::string_view what) {
    if (path.empty() || ::access(path.c_str(), R_OK) == 0) return;
    throw system_error(Fault::configuration, "read the " + std::string(what) + " " + text::quote(path), errno);
}

}  // namespace

std::unique_ptr<Store> open_store(const target::Target& target, const Access& access, const Limits& limits,
                                  io::Disk& disk) {
    switch (target.scheme) {
        case target::Scheme::file: return std::make_unique<FileStore>(target.path, disk);
        case target::Scheme::dav:
        case target::Scheme::davs:
            require_readable(access.ca_file, "CA file");
            require_readable(access.certificate, "client certificate");
            require_readable(access.key, "key of the client certificate");
            return open_dav_store(target, access, limits, disk);
        case target::Scheme::smb: return open_smb_store(target, access, limits);
        case target::Scheme::smtp:
        case target::Scheme::smtps:
        case target::Scheme::lmtp: break;
    }
    throw Error(Fault::configuration,
                text::quote(target::to_string(target)) + " is no directory that this build can reach");
}

Library::Library() {
    // The keys of our sessions are written to no file, whoever set that variable.
    ::unsetenv("SSLKEYLOGFILE");
    // A buffer for each transfer comes and goes thousands of times: the heap need not be given back and asked for again.
    ::mallopt(M_TRIM_THRESHOLD, 16 << 20);
    ::mallopt(M_TOP_PAD, 1 << 20);
    ::mallopt(M_MMAP_THRESHOLD, 1 << 20);
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) throw Error(Fault::internal, "cannot set libcurl up");
}

Library::~Library() { curl_global_cleanup(); }

}  // namespace ums::transport

// SPDX-License-Identifier: GPL-3.0-or-later
#include "transport/dav_store.hpp"

#include <map>
#include <utility>

#include "io/disk.hpp"
#include "text/text.hpp"
#include "transport/dav_answer.hpp"
#include "transport/dav_client.hpp"
#include "transport/dav_listing.hpp"
#include "transport/paths.hpp"

namespace ums::transport {

namespace {

// Files of a directory that a listing checks more cheaply than a request each.
constexpr std::size_t least_listed = 8;

constexpr const char* wanted_properties =
    "<?xml version=\"1.0\" encoding=\"utf-8\"?>"
    "<propfind xmlns=\"DAV:\"><prop><resourcetype/><getcontentlength/><getetag/><getlastmodified/></prop></propfind>";

Request propfind(std::string url, std::string_view depth) {
    Request request;
    request.method = Method::propfind;
    request.url = std::move(url);
    request.headers = {"Depth: " + std::string(depth), "Content-Type: application/xml; charset=utf-8"};
    request.content = wanted_properties;
    return request;
}

Request simple(Method method, std::string url, std::vector<std::string> headers = {}) {
    Request request;
    request.method = method;
    request.url = std::move(url);
    request.headers = std::move(headers);
    return request;
}

Answer broken(std::string text) { return {.verdict = Verdict::broken, .text = std::move(text)}; }

bool is_redirect(int status) { return status == 301 || status == 302 || status == 307 || status == 308; }

std::string bytes(std::uint64_t count) { return std::to_string(count) + " bytes"; }

// What a multistatus says after its last part, if the reply was a good one.
Answer listing_answer(const Reply& reply, Listing& listing) {
    auto answer = answer_of(Method::propfind, reply);
    if (reply.encoded && answer.done()) return broken("PROPFIND: the answer has an encoding that nobody asked for");
    if (!answer.done()) return answer;
    const bool whole = reply.stopped ? listing.problem().empty() : listing.finish() || listing.problem().empty();
    if (!whole) return broken("PROPFIND: the answer cannot be used: " + listing.problem());
    return answer;
}

// Finds out about one exact name: PROPFIND, or HEAD where that does not tell the size.
class Lookup {
  public:
    Lookup(const Client& client, std::string path) : client_(client), path_(std::move(path)) {}

    std::optional<Request> next(const Reply* reply) {
        if (reply == nullptr) return ask(Client::Slash::no);
        return step_ == Step::head ? after_head(*reply) : after_propfind(*reply);
    }

    Answer answer;
    Item item;

  private:
    enum class Step { propfind, with_slash, head };

    Request ask(Client::Slash slash) {
        found_.reset();
        listing_ = std::make_unique<Listing>(client_.origin(), path_, [this](const ListingEntry& entry) {
            if (entry.self) found_ = entry;
            return true;
        });
        auto request = propfind(client_.url(path_, slash), "0");
        request.sink = [this](std::string_view part) { return listing_->feed(part); };
        return request;
    }

    std::optional<Request> after_propfind(const Reply& reply) {
        // Some servers send us to the name with a slash when it is a directory. That is our own address, so no redirect
        // is followed.
        if (is_redirect(reply.status) && step_ == Step::propfind) {
            step_ = Step::with_slash;
            return ask(Client::Slash::yes);
        }
        if (reply.status == 405 || reply.status == 501) return ask_head();
        answer = listing_answer(reply, *listing_);
        if (!answer.done()) return std::nullopt;
        if (!found_) {
            answer = broken("PROPFIND: the server answers about something else" +
                            (listing_->foreign() > 0 ? ": " + text::quote(listing_->foreign_example()) : ""));
            return std::nullopt;
        }
        item = found_->item;
        item.name = io::name_of(path_);
        if (item.kind == ItemKind::file && !found_->sized) return ask_head();
        return std::nullopt;
    }

    Request ask_head() {
        step_ = Step::head;
        return simple(Method::head, client_.url(path_));
    }

    std::optional<Request> after_head(const Reply& reply) {
        answer = answer_of(Method::head, reply);
        if (!answer.done()) return std::nullopt;
        if (!reply.length || reply.encoded) {
            answer = broken("the server does not tell the size of " + text::quote(io::name_of(path_)));
            return std::nullopt;
        }
        item.name = io::name_of(path_);
        item.size = Bytes{*reply.length};
        return std::nullopt;
    }

    const Client& client_;
    std::string path_;
    Step step_ = Step::propfind;
    std::unique_ptr<Listing> listing_;
    std::optional<ListingEntry> found_;
};

// What a server that has taken a file shows of it.
Answer answer_of_stored(const Answer& look, const Item& item, Bytes sent) {
    if (!look.done()) {
        return {.verdict = Verdict::unknown,
                .text = "stored, but its size could not be checked: " + look.text,
                .status = look.status};
    }
    if (item.kind != ItemKind::file || item.size != sent)
        return broken(bytes(item.size.count) + " arrived of " + bytes(sent.count));
    return {};
}

// Sends one file, and looks whether all of it arrived, unless a listing of its directory will tell.
class Sending {
  public:
    enum class Check { each, listed };
    Sending(const Client& client, std::string path, const Body& body, Check check)
        : client_(client), path_(std::move(path)), body_(body), check_(check) {}

    std::optional<Request> next(const Reply* reply) {
        if (reply == nullptr) {
            auto put = simple(Method::put, client_.url(path_), {"If-None-Match: *"});
            put.body = &body_;
            return put;
        }
        if (look_) return go_on(reply);
        answer = answer_of(Method::put, *reply);
        if (answer.done() && check_ == Check::each) {
            look_.emplace(client_, path_);
        } else if (answer.status == 500) {
            // All that nginx says when the directory is missing.
            look_.emplace(client_, io::parent_of(path_));
        } else {
            return std::nullopt;
        }
        return go_on(nullptr);
    }

    Answer answer;

  private:
    std::optional<Request> go_on(const Reply* reply) {
        auto request = look_->next(reply);
        if (request) return request;
        if (answer.done()) {
            answer = answer_of_stored(look_->answer, look_->item, body_.size());
        } else if (look_->answer.verdict == Verdict::absent) {
            answer.verdict = Verdict::absent;
        }
        return std::nullopt;
    }

    const Client& client_;
    std::string path_;
    const Body& body_;
    Check check_;
    std::optional<Lookup> look_;
};

// Renames one file.
class Renaming {
  public:
    Renaming(const Client& client, std::string from, std::string to)
        : client_(client), from_(std::move(from)), to_(std::move(to)) {}

    std::optional<Request> next(const Reply* reply) {
        if (lookup_) {
            auto request = lookup_->next(reply);
            if (!request && lookup_->answer.verdict == Verdict::absent) answer.verdict = Verdict::absent;
            return request;
        }
        if (reply == nullptr)
            return simple(Method::move, client_.url(from_), {"Destination: " + client_.url(to_), "Overwrite: F"});
        answer = answer_of(Method::move, *reply);
        if (answer.status != 403) return std::nullopt;
        // All that rclone says when there is nothing to rename.
        lookup_.emplace(client_, from_);
        return lookup_->next(nullptr);
    }

    Answer answer;

  private:
    const Client& client_;
    std::string from_;
    std::string to_;
    std::optional<Lookup> lookup_;
};

// Receives one file.
class Receiving {
  public:
    Receiving(io::Disk& disk, Download& download) : disk_(disk), download_(download) {}

    Request request(std::string url) {
        download_.received = {};
        gathered_.reserve(std::min<std::uint64_t>(download_.expected.count, gathered_at_once));
        auto get = simple(Method::get, std::move(url));
        get.expected = download_.expected;
        get.sink = [this](std::string_view part) {
            if (part.size() > download_.expected.count - download_.received.count) return false;
            download_.received += Bytes{part.size()};
            gathered_ += part;
            if (gathered_.size() >= gathered_at_once) write();
            return true;
        };
        return get;
    }

    Answer answer(const Reply& reply) {
        auto answer = answer_of(Method::get, reply);
        if (!answer.done()) return answer;
        const auto expected = download_.expected.count;
        if (reply.encoded) return broken("GET: the answer has an encoding that nobody asked for");
        if (reply.stopped) return broken("GET: more than the " + bytes(expected) + " of the listing came");
        if (reply.length && *reply.length != reply.received)
            return broken("GET: " + bytes(reply.received) + " came of " + bytes(*reply.length) + " announced");
        if (download_.received.count != expected)
            return broken("GET: " + bytes(download_.received.count) + " came of the " + bytes(expected) +
                          " of the listing");
        write();
        disk_.write_back(*download_.into);
        return answer;
    }

  private:
    void write() {
        if (!gathered_.empty()) disk_.write(*download_.into, gathered_, "the message that comes in");
        gathered_.clear();
    }

    // libcurl hands over no more than 16 KB at a time.
    static constexpr std::size_t gathered_at_once = 256 * 1024;
    io::Disk& disk_;
    Download& download_;
    std::string gathered_;
};

class DavStore final : public Store {
  public:
    DavStore(const target::Target& target, const Access& access, const Limits& limits, io::Disk& disk)
        : root_(target.path == "/" ? "" : target.path), disk_(disk), client_(target, access, limits, disk) {}

    Answer list(const std::string& directory, const std::function<bool(const Item&)>& each) override;
    std::vector<Answer> look(std::span<const std::string> paths, std::vector<Item>& items) override;
    std::vector<Answer> upload(std::span<const Upload> uploads) override;
    std::vector<Answer> rename(std::span<const Rename> renames) override;
    std::vector<Answer> download(std::span<Download> downloads) override;
    void take(std::span<Take> takes) override;
    Answer read(const std::string& path, Bytes limit, std::string& content) override;
    std::vector<Answer> remove(std::span<const std::string> paths) override;
    Answer make_directory(const std::string& path) override;
    DirectoryRemoval directory_removal() const override { return DirectoryRemoval::whole; }
    Answer remove_directory(const std::string& path) override;
    Answer sync(std::span<const std::string> directories) override;
    std::string describe() const override { return client_.describe(); }

  private:
    std::string full(const std::string& path) const { return path.empty() ? root_ : root_ + "/" + path; }
    std::string url(const std::string& path, Client::Slash slash = Client::Slash::no) const {
        return client_.url(full(path), slash);
    }
    void check_by_listing(const std::string& directory, std::span<const std::size_t> indices,
                          std::span<const Upload> uploads, std::vector<Answer>& answers);
    static std::optional<Answer> refused_path(const Rename& rename);
    // One request, one reply.
    Answer ask(Method method, Request request);

    std::string root_;  // decoded, without trailing slash; empty for the root of the server
    io::Disk& disk_;
    Client client_;
};

Answer DavStore::ask(Method method, Request request) {
    Answer answer;
    client_.run(1, [&](std::size_t, const Reply* reply) -> std::optional<Request> {
        if (reply == nullptr) return std::move(request);
        answer = answer_of(method, *reply);
        return std::nullopt;
    });
    return answer;
}

Answer DavStore::list(const std::string& directory, const std::function<bool(const Item&)>& each) {
    if (!is_safe_path(directory, Root::allowed)) return unsafe_path(directory);
    bool seen_self = false;
    bool seen_any = false;
    Listing listing(client_.origin(), full(directory), [&](const ListingEntry& entry) {
        if (entry.self) {
            seen_self = true;
            return true;
        }
        seen_any = true;
        Item item = entry.item;
        // Without a size it could not be checked that all of it came.
        if (item.kind == ItemKind::file && !entry.sized) item.kind = ItemKind::other;
        return each(item);
    });
    auto request = propfind(url(directory, Client::Slash::yes), "1");
    request.streaming = true;
    request.sink = [&](std::string_view part) { return listing.feed(part); };
    Answer answer;
    client_.run(1, [&](std::size_t, const Reply* reply) -> std::optional<Request> {
        if (reply == nullptr) return std::move(request);
        answer = listing_answer(*reply, listing);
        return std::nullopt;
    });
    if (answer.done() && !seen_self && !seen_any && listing.foreign() > 0) {
        return broken("PROPFIND: the server lists under another address: " + text::quote(listing.foreign_example()));
    }
    return answer;
}

std::vector<Answer> DavStore::look(std::span<const std::string> paths, std::vector<Item>& items) {
    items.assign(paths.size(), {});
    std::vector<Answer> answers(paths.size());
    std::vector<std::unique_ptr<Lookup>> lookups(paths.size());
    client_.run(paths.size(), [&](std::size_t i, const Reply* reply) -> std::optional<Request> {
        if (reply == nullptr) {
            if (!is_safe_path(paths[i], Root::allowed)) {
                answers[i] = unsafe_path(paths[i]);
                return std::nullopt;
            }
            lookups[i] = std::make_unique<Lookup>(client_, full(paths[i]));
        }
        auto request = lookups[i]->next(reply);
        if (request) return request;
        answers[i] = std::move(lookups[i]->answer);
        items[i] = std::move(lookups[i]->item);
        lookups[i].reset();
        return std::nullopt;
    });
    return answers;
}

std::vector<Answer> DavStore::upload(std::span<const Upload> uploads) {
    std::vector<Answer> answers(uploads.size());
    std::vector<std::unique_ptr<Sending>> sendings(uploads.size());
    // Many in one directory are checked by one listing in place of a request each.
    std::map<std::string, std::vector<std::size_t>> by_directory;
    for (std::size_t i = 0; i < uploads.size(); ++i) by_directory[io::parent_of(uploads[i].path)].push_back(i);
    std::erase_if(by_directory, [](const auto& one) { return one.second.size() < least_listed; });
    client_.run(uploads.size(), [&](std::size_t i, const Reply* reply) -> std::optional<Request> {
        if (reply == nullptr) {
            if (!is_safe_path(uploads[i].path, Root::forbidden)) {
                answers[i] = unsafe_path(uploads[i].path);
                return std::nullopt;
            }
            const bool listed = by_directory.contains(io::parent_of(uploads[i].path));
            sendings[i] = std::make_unique<Sending>(client_, full(uploads[i].path), uploads[i].body,
                                                    listed ? Sending::Check::listed : Sending::Check::each);
        }
        auto request = sendings[i]->next(reply);
        if (request) return request;
        answers[i] = std::move(sendings[i]->answer);
        sendings[i].reset();
        return std::nullopt;
    });
    for (const auto& [directory, indices] : by_directory) check_by_listing(directory, indices, uploads, answers);
    return answers;
}

void DavStore::check_by_listing(const std::string& directory, std::span<const std::size_t> indices,
                                std::span<const Upload> uploads, std::vector<Answer>& answers) {
    std::map<std::string, std::size_t, std::less<>> unseen;
    for (const auto i : indices) {
        if (answers[i].done()) unseen.emplace(io::name_of(uploads[i].path), i);
    }
    if (unseen.empty()) return;
    // A directory with much more in it than ours is left after a while.
    std::size_t strangers = 0;
    list(directory, [&](const Item& item) {
        const auto found = unseen.find(item.name);
        if (found == unseen.end()) return ++strangers <= 4 * indices.size();
        // What is not clear is asked for by its name.
        const auto i = found->second;
        if (item.kind != ItemKind::file || item.size != uploads[i].body.size()) return true;
        unseen.erase(found);
        return !unseen.empty();
    });
    std::vector<std::string> paths;
    std::vector<std::size_t> left;
    for (const auto& [name, i] : unseen) {
        paths.push_back(uploads[i].path);
        left.push_back(i);
    }
    std::vector<Item> items;
    const auto looks = look(paths, items);
    for (std::size_t k = 0; k < left.size(); ++k)
        answers[left[k]] = answer_of_stored(looks[k], items[k], uploads[left[k]].body.size());
}

std::optional<Answer> DavStore::refused_path(const Rename& rename) {
    for (const auto& path : {rename.from, rename.to}) {
        if (!is_safe_path(path, Root::forbidden)) return unsafe_path(path);
    }
    return std::nullopt;
}

std::vector<Answer> DavStore::rename(std::span<const Rename> renames) {
    std::vector<Answer> answers(renames.size());
    std::vector<std::unique_ptr<Renaming>> renamings(renames.size());
    client_.run(renames.size(), [&](std::size_t i, const Reply* reply) -> std::optional<Request> {
        if (reply == nullptr) {
            if (auto refused = refused_path(renames[i])) {
                answers[i] = std::move(*refused);
                return std::nullopt;
            }
            renamings[i] = std::make_unique<Renaming>(client_, full(renames[i].from), full(renames[i].to));
        }
        auto request = renamings[i]->next(reply);
        if (request) return request;
        answers[i] = std::move(renamings[i]->answer);
        renamings[i].reset();
        return std::nullopt;
    });
    return answers;
}

std::vector<Answer> DavStore::download(std::span<Download> downloads) {
    std::vector<Answer> answers(downloads.size());
    std::vector<std::unique_ptr<Receiving>> receivings(downloads.size());
    client_.run(downloads.size(), [&](std::size_t i, const Reply* reply) -> std::optional<Request> {
        if (reply != nullptr) {
            answers[i] = receivings[i]->answer(*reply);
            receivings[i].reset();
            return std::nullopt;
        }
        if (!is_safe_path(downloads[i].path, Root::forbidden)) {
            downloads[i].received = {};
            answers[i] = unsafe_path(downloads[i].path);
            return std::nullopt;
        }
        receivings[i] = std::make_unique<Receiving>(disk_, downloads[i]);
        return receivings[i]->request(url(downloads[i].path));
    });
    return answers;
}

void DavStore::take(std::span<Take> takes) {
    std::vector<std::unique_ptr<Renaming>> renamings(takes.size());
    std::vector<std::unique_ptr<Receiving>> receivings(takes.size());
    client_.run(takes.size(), [&](std::size_t i, const Reply* reply) -> std::optional<Request> {
        auto& one = takes[i];
        if (receivings[i]) {
            one.received = receivings[i]->answer(*reply);
            receivings[i].reset();
            return std::nullopt;
        }
        if (reply == nullptr) {
            one.download.path = one.claim.to;
            one.claimed = one.received = {};
            if (auto refused = refused_path(one.claim)) {
                one.claimed = std::move(*refused);
                return std::nullopt;
            }
            renamings[i] = std::make_unique<Renaming>(client_, full(one.claim.from), full(one.claim.to));
        }
        auto request = renamings[i]->next(reply);
        if (request) return request;
        one.claimed = std::move(renamings[i]->answer);
        renamings[i].reset();
        if (!one.claimed.done()) return std::nullopt;
        receivings[i] = std::make_unique<Receiving>(disk_, one.download);
        return receivings[i]->request(url(one.download.path));
    });
}

Answer DavStore::read(const std::string& path, Bytes limit, std::string& content) {
    if (!is_safe_path(path, Root::forbidden)) return unsafe_path(path);
    std::string got;
    auto get = simple(Method::get, url(path));
    get.sink = [&](std::string_view part) {
        if (part.size() > limit.count - got.size()) return false;
        got += part;
        return true;
    };
    Answer answer;
    client_.run(1, [&](std::size_t, const Reply* reply) -> std::optional<Request> {
        if (reply == nullptr) return std::move(get);
        answer = answer_of(Method::get, *reply);
        if (answer.done() && reply->stopped) answer = broken("GET: it is larger than " + bytes(limit.count));
        if (answer.done() && reply->encoded) answer = broken("GET: the answer has an encoding that nobody asked for");
        return std::nullopt;
    });
    if (answer.done()) content = std::move(got);
    return answer;
}

std::vector<Answer> DavStore::remove(std::span<const std::string> paths) {
    std::vector<Answer> answers(paths.size());
    client_.run(paths.size(), [&](std::size_t i, const Reply* reply) -> std::optional<Request> {
        if (reply != nullptr) {
            answers[i] = answer_of(Method::remove, *reply);
            return std::nullopt;
        }
        if (is_safe_path(paths[i], Root::forbidden)) return simple(Method::remove, url(paths[i]));
        answers[i] = unsafe_path(paths[i]);
        return std::nullopt;
    });
    return answers;
}

Answer DavStore::remove_directory(const std::string& path) {
    if (!is_safe_path(path, Root::forbidden)) return unsafe_path(path);
    return ask(Method::remove, simple(Method::remove, url(path, Client::Slash::yes)));
}

Answer DavStore::make_directory(const std::string& path) {
    if (!is_safe_path(path, Root::forbidden)) return unsafe_path(path);
    auto answer = ask(Method::mkcol, simple(Method::mkcol, url(path, Client::Slash::yes)));
    if (answer.status != 405) return answer;
    // The name is taken (RFC 4918 section 9.3.1); by what, only a look tells.
    std::vector<Item> items;
    auto looked = look({&path, 1}, items).front();
    if (!looked.done()) return looked.verdict == Verdict::absent ? answer : looked;
    if (items.front().kind == ItemKind::directory) return {};
    return {.verdict = Verdict::exists, .text = text::quote(path) + " exists and is no directory", .status = 405};
}

Answer DavStore::sync(std::span<const std::string> directories) {
    for (const auto& directory : directories) {
        if (!is_safe_path(directory, Root::allowed)) return unsafe_path(directory);
    }
    return {};  // what a server does for its disk, it does before it answers
}

}  // namespace

std::unique_ptr<Store> open_dav_store(const target::Target& target, const Access& access, const Limits& limits,
                                      io::Disk& disk) {
    return std::make_unique<DavStore>(target, access, limits, disk);
}

}  // namespace ums::transport

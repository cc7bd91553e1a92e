// SPDX-License-Identifier: GPL-3.0-or-later
#include "delivery/assignment.hpp"

#include <catch2/catch.hpp>

using namespace ums;
using namespace ums::delivery;
using spool::EntryName;
using spool::Queue;

namespace {

EntryName named(const std::string& attributes) {
    return EntryName::parse("1795406406123456.k2j4x7ab.BER1" + attributes).value();
}

std::string assigned_to(const std::string& attributes, const std::string& to) {
    const auto name = assigned(named(attributes), to).text();
    return name.substr(std::min(name.find(','), name.size()));
}

config::Config two_sites() {
    config::Config config;
    config.sites.resize(2);
    config.sites[0].name = "munich";
    config.sites[0].kernels = {"k1"};
    config.sites[0].numbering.emplace();
    config.sites[0].fallback = {"vienna"};
    config.sites[1].name = "vienna";
    config.sites[1].kernels = {"k2", "k3"};
    return config;
}

}  // namespace

TEST_CASE("a message remembers the site that was decided for as long as another one sends it") {
    CHECK(assigned_to(",s=munich", "munich") == ",s=munich");
    CHECK(assigned_to(",s=munich", "vienna") == ",s=vienna,h=munich");
    CHECK(assigned_to(",s=vienna,h=munich", "vienna") == ",s=vienna,h=munich");
    CHECK(assigned_to(",s=vienna,h=munich", "rome") == ",s=rome,h=munich");
    CHECK(assigned_to(",s=vienna,h=munich", "munich") == ",s=munich");

    auto config = two_sites();
    CHECK(home_of(config, named(",s=vienna")).numbering == nullptr);
    const auto munich = home_of(config, named(",s=vienna,h=munich"));
    CHECK(munich.site == &config.sites[0]);
    CHECK(munich.numbering == &*config.sites[0].numbering);
    config.mds.numbering.emplace();
    CHECK(home_of(config, named(",s=munich,h=vienna")).numbering == &*config.mds.numbering);
    CHECK(home_of(config, named(",s=munich")).numbering == nullptr);
}

TEST_CASE("what belongs to a site that is gone does not leave") {
    const auto config = two_sites();
    const auto goes = [&](const Queue& queue, const std::string& attributes) {
        return still_goes_there(config, queue, named(attributes));
    };
    CHECK(goes(Queue::kernel("k2"), ""));
    CHECK(goes(Queue::kernel("k2"), ",s=vienna"));
    CHECK(goes(Queue::kernel("k3"), ",s=vienna,h=munich"));
    CHECK_FALSE(goes(Queue::kernel("k1"), ",s=vienna"));
    CHECK_FALSE(goes(Queue::kernel("k1"), ",s=rome"));
    CHECK_FALSE(goes(Queue::kernel("k3"), ",s=vienna,h=rome"));
    CHECK_FALSE(goes(Queue::kernel("k1"), ",s=munich,h=vienna"));  // that one has no fallback
    CHECK(goes(Queue::connector("ExConn"), ""));
    CHECK(goes(Queue::connector("ExConn"), ",s=vienna"));
    CHECK_FALSE(goes(Queue::connector("ExConn"), ",s=rome"));
}

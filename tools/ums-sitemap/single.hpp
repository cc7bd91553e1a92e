// SPDX-License-Identifier: GPL-3.0-or-later
//
// ums-sitemap on one message or one number, without a spool.
#pragma once

#include <optional>
#include <ostream>
#include <string>
#include <string_view>

#include "config/config.hpp"
#include "message/header_block.hpp"
#include "number/forming.hpp"

namespace ums::sitemap {

enum class Direction { incoming, outgoing };
enum class Explain { no, yes };
enum class Json { no, yes };
enum class Quiet { no, yes };

/// The site of that name. Without a name the only one there is. Throws Error{usage} for an unknown name (with what was
/// meant, if it is near) and for none where there are several.
const config::Site& find_site(const config::Config& config, std::string_view name);

/// Prints the message as the site changes it: the same that happens on its way through the spool. Only the header block
/// is held in memory; the body is copied in blocks as it comes. With Explain or Json the changes are printed instead,
/// for each recipient the steps and the number formed, and the connector (incoming); nothing of the message is printed
/// then. Throws Error{unusable} for a message that cannot be used, {cannot_write} for the output. Returns the exit
/// code: exit_attention if a recipient of an incoming message that is explained has no connector.
int map_single(const config::Config& config, const config::Site& site, Direction direction, Explain explain, Json json,
               const message::Reader& in, std::ostream& out);

struct Asked {
    Direction direction = Direction::incoming;
    Quiet quiet = Quiet::no;
    Json json = Json::no;
    number::Conversion::Kind kind = number::Conversion::Kind::destination;  ///< incoming
    std::optional<number::TypeOfNumber> type;                               ///< incoming
};

/// Prints what the site makes of one number: a line for each step, `number TAB what was done`, and what the metadata of
/// all countries says of it, as advice; the result alone with Quiet; an object with Json. A service before the number is
/// removed. Throws Error{unusable} for what is no number, or not accepted by the site.
int map_number(const config::Site& site, const Asked& asked, std::string_view number, std::ostream& out);

/// The same for each line that is read, with a result for each: without a number a line is repeated as it is, what is refused
/// is `refused`, and exit_attention returned then. Without advice; a line `number TAB result` unless Quiet or Json.
int map_numbers(const config::Site& site, const Asked& asked, const message::Reader& in, std::ostream& out);

/// Prints a table of all sites with their numbering; an object per line with Json.
int list_sites(const config::Config& config, Json json, std::ostream& out);

}  // namespace ums::sitemap

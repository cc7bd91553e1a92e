// SPDX-License-Identifier: GPL-3.0-or-later
//
// Conversion rules: what an administrator makes of numbers that no setting covers.
//
// Two forms. `<Direction>;<Match>;<Conversion>`, as in `O;D=00498142;D=8[9]`: the destination of an outgoing call that
// begins with 00498142 becomes 8 and what stands from position 9 on. Direction I or O; kinds D destination, O
// originator, R redirector; both kinds of a rule are the same. Without `[n]` nothing is kept. And regular expressions
// (RE2) with groups: the first part of the number that matches is replaced, `\0` to `\9` are the groups.
//
// In a list the first rule of the direction and kind that hits is applied, and no other.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ums::number {

class Expression;

struct Conversion {
    enum class Direction { incoming, outgoing } direction = Direction::outgoing;
    enum class Kind { destination, originator, redirector } kind = Kind::destination;
    std::string match;          ///< prefix: digits, `+`, `*`, `#`
    std::string replacement;    ///< put in its place
    std::size_t keep_from = 0;  ///< position, from 1, of the first character kept; 0: nothing is kept
    std::string text;           ///< as it was written, for people
    std::shared_ptr<const Expression> expression{};  ///< in place of the three above
    bool operator==(const Conversion& other) const {
        return direction == other.direction && kind == other.kind && text == other.text;
    }
};

std::string_view to_string(Conversion::Kind kind) noexcept;

/// Throws Error{configuration} with what is wrong.
Conversion parse_conversion(std::string_view text);

/// A rule of a regular expression, with or without the slashes around it. Throws Error{configuration} for an
/// expression that cannot be compiled, a group that it does not have, a replacement with more than digits, `+`, `*`,
/// `#` and groups.
Conversion make_conversion(Conversion::Direction direction, Conversion::Kind kind, std::string_view expression,
                           std::string_view replacement);

/// The first conversion of `direction` and `kind` that matches, applied; nothing if none does.
std::optional<std::string> convert(const std::vector<Conversion>& conversions, Conversion::Direction direction,
                                   Conversion::Kind kind, std::string_view number, const Conversion** used = nullptr);

}  // namespace ums::number

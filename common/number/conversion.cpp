// SPDX-License-Identifier: GPL-3.0-or-later
#include "number/conversion.hpp"

#include <re2/re2.h>

#include <algorithm>

#include "error/error.hpp"
#include "text/text.hpp"

namespace ums::number {

// A compiled expression and what stands in place of what it finds.
class Expression {
  public:
    Expression(std::string_view pattern, std::string_view replacement)
        : expression_(re2::StringPiece(pattern.data(), pattern.size()), re2::RE2::Quiet), replacement_(replacement) {}

    const re2::RE2& compiled() const noexcept { return expression_; }
    const std::string& replacement() const noexcept { return replacement_; }

    /// Whether it was found, and replaced, in `number`.
    bool replace(std::string& number) const { return re2::RE2::Replace(&number, expression_, replacement_); }

  private:
    re2::RE2 expression_;
    std::string replacement_;
};

namespace {

constexpr std::string_view dialled = "0123456789+*#";

}  // namespace

std::string_view to_string(Conversion::Kind kind) noexcept {
    switch (kind) {
        case Conversion::Kind::destination: return "destination";
        case Conversion::Kind::originator: return "originator";
        case Conversion::Kind::redirector: return "redirector";
    }
    return "destination";
}

Conversion parse_conversion(std::string_view text) {
    Conversion conversion;
    conversion.text = text::trim(text);
    const auto fail = [&](const std::string& what) -> Error {
        return {Fault::configuration, "conversion " + text::quote(conversion.text) + ": " + what};
    };
    const auto parts = text::split(conversion.text, ';');
    if (parts.size() != 3) throw fail("must be '<direction>;<match>;<conversion>', as in 'O;D=00498142;D=8[9]'");

    const auto direction = text::trim(parts[0]);
    if (text::equal_ignoring_case(direction, "I")) {
        conversion.direction = Conversion::Direction::incoming;
    } else if (text::equal_ignoring_case(direction, "O")) {
        conversion.direction = Conversion::Direction::outgoing;
    } else {
        throw fail("the direction must be I or O, not " + text::quote(direction));
    }

    const auto parse_part = [&](std::string_view part, std::string_view& value) {
        part = text::trim(part);
        const auto equals = part.find('=');
        if (equals == std::string_view::npos) throw fail(text::quote(part) + " has no '='; as in 'D=00498142'");
        const auto kind = text::trim(part.substr(0, equals));
        value = text::trim(part.substr(equals + 1));
        if (text::equal_ignoring_case(kind, "D")) return Conversion::Kind::destination;
        if (text::equal_ignoring_case(kind, "O")) return Conversion::Kind::originator;
        if (text::equal_ignoring_case(kind, "R")) return Conversion::Kind::redirector;
        throw fail("the kind of number must be D, O or R, not " + text::quote(kind));
    };
    const auto check = [&](std::string_view value) {
        if (const auto bad = value.find_first_not_of(dialled); bad != std::string_view::npos) {
            throw fail(text::quote(value.substr(bad, 1)) + " is not a digit, '+', '*' or '#'");
        }
    };
    std::string_view match;
    std::string_view replacement;
    conversion.kind = parse_part(parts[1], match);
    if (parse_part(parts[2], replacement) != conversion.kind) throw fail("both numbers must be of the same kind");
    if (match.empty()) throw fail("what it must begin with is empty: it would match every number");
    check(match);
    if (const auto bracket = replacement.find('['); bracket != std::string_view::npos) {
        auto position = replacement.substr(bracket + 1);
        if (!position.ends_with(']')) throw fail("']' is missing at its end");
        position.remove_suffix(1);
        const auto keep_from = text::parse_number(position);
        if (!keep_from || *keep_from == 0 || *keep_from > 1000) throw fail("the position in '[]' must be 1 to 1000");
        conversion.keep_from = *keep_from;
        replacement = replacement.substr(0, bracket);
    }
    check(replacement);
    conversion.match = match;
    conversion.replacement = replacement;
    return conversion;
}

Conversion make_conversion(Conversion::Direction direction, Conversion::Kind kind, std::string_view expression,
                           std::string_view replacement) {
    if (expression.size() >= 2 && expression.front() == '/' && expression.back() == '/') {
        expression = expression.substr(1, expression.size() - 2);
    }
    const auto fail = [&](const std::string& what) -> Error {
        return {Fault::configuration, "conversion " + text::quote(expression) + ": " + what};
    };
    if (expression.empty()) throw fail("the expression is empty: it would match every number");
    for (std::size_t i = 0; i < replacement.size(); ++i) {
        if (replacement[i] == '\\' && i + 1 < replacement.size() && replacement[i + 1] >= '0' &&
            replacement[i + 1] <= '9') {
            ++i;
        } else if (dialled.find(replacement[i]) == std::string_view::npos) {
            throw fail(
                text::quote(replacement.substr(i, 1)) +
                " in the replacement is not a digit, '+', '*', '#' or a group (\\1 to \\9; \\0 is all that matches)");
        }
    }
    Conversion conversion;
    conversion.direction = direction;
    conversion.kind = kind;
    const auto made = std::make_shared<const Expression>(expression, replacement);
    if (!made->compiled().ok()) throw fail(made->compiled().error());
    std::string problem;
    if (!made->compiled().CheckRewriteString(made->replacement(), &problem)) throw fail(problem);
    conversion.expression = made;
    conversion.text = "/" + std::string(expression) + "/ -> " + std::string(replacement);
    return conversion;
}

std::optional<std::string> convert(const std::vector<Conversion>& conversions, Conversion::Direction direction,
                                   Conversion::Kind kind, std::string_view number, const Conversion** used) {
    for (const auto& one : conversions) {
        if (one.direction != direction || one.kind != kind) continue;
        std::string result;
        if (one.expression) {
            result = number;
            if (!one.expression->replace(result)) continue;
        } else {
            if (!number.starts_with(one.match)) continue;
            result = one.replacement;
            if (one.keep_from > 0 && one.keep_from <= number.size()) result += number.substr(one.keep_from - 1);
        }
        if (used != nullptr) *used = &one;
        return result;
    }
    return std::nullopt;
}

}  // namespace ums::number

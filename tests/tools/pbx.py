# SPDX-License-Identifier: GPL-3.0-or-later
"""PBXs of twelve countries, and what they signal and dial: an oracle for the round trip of numbers, written from the manuals
and apart from the code. It knows subscribers, not spellings: a subscriber is (country, national number), where the national
number is what stands behind the country code in E.164."""
import random

# country, area, main number, extension digits, national prefix, international prefix, outside line, area always dialled:
# no, yes (in national form), bare (without the national prefix).
PLACES = {
    "munich": ("49", "89", "4799", 3, "0", "00", "0", "no"),
    "olching": ("49", "8142", "45698", 4, "0", "00", "", "no"),
    "vienna": ("43", "1", "5330", 2, "0", "00", "0", "no"),
    "zurich": ("41", "44", "5551", 3, "0", "00", "9", "yes"),
    "milan": ("39", "02", "644899", 2, "", "00", "0", "yes"),
    "rome": ("39", "06", "55512", 3, "", "00", "9", "yes"),
    "namur": ("32", "81", "2345", 2, "0", "00", "0", "yes"),
    "copenhagen": ("45", "", "331255", 2, "", "00", "0", "no"),
    "madrid": ("34", "", "9155544", 2, "", "00", "0", "no"),
    "newyork": ("1", "212", "555", 4, "1", "011", "9", "bare"),
    "chicago": ("1", "312", "5550", 3, "1", "011", "8", "no"),
    "moscow": ("7", "495", "55512", 2, "8", "810", "9", "no"),
    "budapest": ("36", "1", "5551", 3, "06", "00", "0", "no"),
    "sydney": ("61", "2", "55501", 3, "0", "0011", "0", "no"),
    "stockholm": ("46", "8", "55512", 3, "0", "00", "0", "no"),
    "tokyo": ("81", "3", "55501", 3, "0", "010", "0", "no"),
}


def config():
    """The sites of mds.yaml."""
    lines = ["sites:"]
    for name, (country, area, main, digits, national, international, outside, always) in PLACES.items():
        lines.append(f"  {name}: {{kernels: [k1], dial: rewrite, numbering: {{country: '{country}', area: '{area}', subscriber: '{main}', "
                     f"extension-digits: {digits}, national-prefix: '{national}', international-prefix: '{international}', "
                     f"outside-line: '{outside}', always-dial-area: {always}, short-numbers: no}}}}")
    return "\n".join(lines) + "\nroutes:\n  - {to: munich}\n"


def subscriber(rng, site):
    """Somebody to call from `site`: of the site, of its area, of its country, of another country."""
    country, area, main = PLACES[site][:3]
    kind = rng.randrange(4)
    if kind == 0:
        return country, area + main + digits(rng, PLACES[site][3])
    if kind == 1:
        return country, area + local_number(rng, country)
    if kind == 2:
        return country, national_number(rng, country)
    other = rng.choice([place[0] for place in PLACES.values() if place[0] != country])
    return other, national_number(rng, other)


def first(rng, country):
    """A digit that subscriber numbers begin with: no prefix of the country. What follows an Australian 0 is one of an area."""
    return rng.choice("234567" if country in ("7", "61") else "23456789")


def local_number(rng, country):
    """Seven digits in North America, elsewhere as it comes."""
    return first(rng, country) + digits(rng, 6 if country == "1" else rng.randint(4, 7))


def digits(rng, count):
    return "".join(rng.choice("0123456789") for _ in range(count))


def national_number(rng, country):
    areas = {"49": ["30", "40", "89", "8142", "201"], "43": ["1", "316", "732"], "41": ["44", "31", "22"], "39": ["02", "06", "011"],
             "32": ["81", "2", "9"], "45": [""], "34": [""], "1": ["212", "312", "415"], "7": ["495", "812", "343"],
             "36": ["1", "62", "72"], "61": ["2", "3", "7"], "81": ["3", "6", "45"], "46": ["8", "31", "40"]}
    return rng.choice(areas[country]) + local_number(rng, country)


def signalled(rng, site, extension):
    """What the PBX of `site` may signal for a call to one of its extensions: (number, type)."""
    country, area, main, count, national, international = PLACES[site][:6]
    whole = main + extension
    ways = [(extension, "unknown"), (whole, "subscriber"), (area + whole, "national"), (national + area + whole, "national"),
            (country + area + whole, "international"), ("+" + country + area + whole, "unknown"),
            (international + country + area + whole, "unknown")]
    if len(whole) > count:
        ways.append((whole, "unknown"))  # the trap
    return rng.choice(ways)


def dialled(site, dial):
    """The subscriber that the exchange behind the PBX of `site` reaches by this dial string; None for nobody."""
    country, area, _, _, national, international, outside, _ = PLACES[site]
    if not dial.startswith(outside):
        return None
    number = dial[len(outside):]
    codes = sorted({place[0] for place in PLACES.values()}, key=len, reverse=True)
    if number.startswith(international):
        number = number[len(international):]
        for code in codes:
            if number.startswith(code):
                return code, number[len(code):]
        return None
    if national and number.startswith(national):
        return country, number[len(national):]
    if not area or not national:  # a closed plan: what is dialled is the national number
        return country, number
    # North America: ten digits are an area and a number.
    if country == "1" and len(number) == 10:
        return country, number
    return country, area + number


def spelled(rng, country, national):
    """A number as people write it."""
    cut = rng.randint(1, len(national) - 1)
    separator = rng.choice(["", " ", "-", "/"])
    return "+" + country + rng.choice(["", " "]) + national[:cut] + separator + national[cut:]


def generator(seed):
    return random.Random(seed)

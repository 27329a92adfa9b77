//! The values of a scenario file: ranges that are drawn from, and nodes and links by number or by chance.

use std::{fmt, marker::PhantomData, time::Duration};

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};
use toml::Spanned;

use crate::{dice::Dice, plan::NodeNo};

/// What a range may be of.
pub(crate) trait Quantity: Copy + PartialOrd {
    /// How it is written, for an error.
    const EXAMPLES: &'static str;
    /// Reads one.
    fn read(text: &str) -> Option<Self>;
    /// A bare number as one, where that is clear.
    fn of_number(number: i64) -> Option<Self>;
    /// One of `low..=high`.
    fn between(low: Self, high: Self, dice: &mut Dice) -> Self;
}

impl Quantity for Duration {
    const EXAMPLES: &'static str =
        "a duration: write `\"90s\"`, `\"1m 30s\"`, `\"250ms\"`, or a range as `\"1s..5s\"`";

    fn read(text: &str) -> Option<Self> {
        humantime::parse_duration(text).ok()
    }

    fn of_number(_: i64) -> Option<Self> {
        None
    }

    fn between(low: Self, high: Self, dice: &mut Dice) -> Self {
        dice.time(low, high)
    }
}

impl Quantity for usize {
    const EXAMPLES: &'static str = "a number: write `10`, or a range as `\"3..10\"`";

    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn of_number(number: i64) -> Option<Self> {
        number.try_into().ok()
    }

    fn between(low: Self, high: Self, dice: &mut Dice) -> Self {
        low + dice.index(high - low + 1)
    }
}

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Bytes(pub(crate) u64);

impl Quantity for Bytes {
    const EXAMPLES: &'static str =
        "a number of bytes: write `2000`, `\"64KiB\"`, `\"5MiB\"`, or a range as `\"16..2KiB\"`";

    fn read(text: &str) -> Option<Self> {
        let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
        let factor = match text[digits.len()..].trim() {
            "" | "B" => 1,
            "kB" => 1000,
            "MB" => 1_000_000,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return None,
        };
        digits.trim().parse::<u64>().ok()?.checked_mul(factor).map(Self)
    }

    fn of_number(number: i64) -> Option<Self> {
        number.try_into().ok().map(Self)
    }

    fn between(low: Self, high: Self, dice: &mut Dice) -> Self {
        Self(dice.between(low.0, high.0))
    }
}

/// How far a clock is ahead, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Skew(pub(crate) i64);

impl Quantity for Skew {
    const EXAMPLES: &'static str =
        "how far a clock is wrong: write `\"90s\"`, `\"-2h\"`, or a range as `\"-5m..5m\"`";

    fn read(text: &str) -> Option<Self> {
        let (sign, size) = text.strip_prefix('-').map_or((1, text), |size| (-1, size));
        let millis = humantime::parse_duration(size.trim_start_matches('+')).ok()?.as_millis();
        Some(Self(sign * i64::try_from(millis).ok()?))
    }

    fn of_number(_: i64) -> Option<Self> {
        None
    }

    fn between(low: Self, high: Self, dice: &mut Dice) -> Self {
        Self(low.0.saturating_add_unsigned(dice.between(0, low.0.abs_diff(high.0))))
    }
}

/// A value, or `low..high`, both included, of which one is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Range<T> {
    pub(crate) low: T,
    pub(crate) high: T,
}

impl<T: Quantity> Range<T> {
    /// No range at all.
    pub(crate) fn just(value: T) -> Self {
        Self { low: value, high: value }
    }

    /// One of them. No dice are thrown where there is one only.
    pub(crate) fn draw(&self, dice: &mut Dice) -> T {
        if self.low == self.high { self.low } else { T::between(self.low, self.high, dice) }
    }

    fn read(text: &str) -> Option<Self> {
        let Some((low, high)) = text.split_once("..") else {
            return T::read(text.trim()).map(Self::just);
        };
        Some(Self { low: T::read(low.trim())?, high: T::read(high.trim())? })
    }
}

struct RangeVisitor<T>(PhantomData<T>);

impl<T: Quantity> Visitor<'_> for RangeVisitor<T> {
    type Value = Range<T>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(T::EXAMPLES)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Range<T>, E> {
        T::of_number(number)
            .map(Range::just)
            .ok_or_else(|| E::custom(format!("`{number}` is not {}", T::EXAMPLES)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Range<T>, E> {
        let range =
            Range::read(text).ok_or_else(|| E::custom(format!("`\"{text}\"` is not {}", T::EXAMPLES)))?;
        if range.high < range.low {
            return Err(E::custom(format!("the range `\"{text}\"` ends before it begins: swap its ends")));
        }
        Ok(range)
    }
}

impl<'de, T: Quantity> Deserialize<'de> for Range<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RangeVisitor(PhantomData))
    }
}

/// Which nodes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Nodes {
    /// All.
    All,
    /// These: `3`, or `[0, 1, "4..7"]`.
    Listed(Vec<NodeNo>),
    /// So many, by chance: `"any"`, or `{ random = 3 }`.
    Random(usize),
    /// Such a share of them, by chance: `"25%"`.
    Share(f64),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RandomTable {
    random: usize,
}

struct NodesVisitor;

const NODES: &str =
    "nodes: write `3`, `[0, 1, \"4..7\"]`, `\"any\"`, `\"all\"`, `\"25%\"` or `{ random = 3 }`";

impl<'de> Visitor<'de> for NodesVisitor {
    type Value = Nodes;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(NODES)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Nodes, E> {
        let node = usize::try_from(number).map_err(|_| E::custom(format!("`{number}` is not {NODES}")))?;
        Ok(Nodes::Listed(vec![node]))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Nodes, E> {
        let share = || text.strip_suffix('%')?.parse().ok().filter(|share| (0.0..=100.0).contains(share));
        match text {
            "any" => Ok(Nodes::Random(1)),
            "all" => Ok(Nodes::All),
            _ => match share() {
                Some(share) => Ok(Nodes::Share(share / 100.0)),
                None => Err(E::custom(format!("`\"{text}\"` is not {NODES}"))),
            },
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Nodes, A::Error> {
        let mut nodes = Vec::new();
        while let Some(item) = items.next_element::<Range<usize>>()? {
            nodes.extend(item.low..=item.high.min(item.low + 100_000));
        }
        Ok(Nodes::Listed(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Nodes, A::Error> {
        let table = RandomTable::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
        Ok(Nodes::Random(table.random))
    }
}

impl<'de> Deserialize<'de> for Nodes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodesVisitor)
    }
}

/// One or several of them. One alone does not know where it stands: its span is empty.
#[derive(Clone, Debug)]
pub(crate) struct Several<T>(pub(crate) Vec<Spanned<T>>);

struct SeveralVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for SeveralVisitor<T> {
    type Value = Several<T>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a table, or several")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Several<T>, A::Error> {
        let one = T::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
        Ok(Several(vec![Spanned::new(0..0, one)]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Several<T>, A::Error> {
        Vec::deserialize(serde::de::value::SeqAccessDeserializer::new(items)).map(Several)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Several<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SeveralVisitor(PhantomData))
    }
}

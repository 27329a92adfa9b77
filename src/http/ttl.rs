//! How long a value lives: `?ttl=30s`.

use std::time::Duration;

use super::problem::{Code, Problem};
use crate::node::TTL_MAX;

/// What to write instead.
const CURE: &str =
    "write a whole number and ms, s, m, h or d, such as `30s`; more than nothing, a century at most";

/// The time in a query.
pub(super) fn parse(text: &str) -> Result<Duration, Problem> {
    of(text).map_err(|why| Problem::new(Code::BadTtl, why).with("limit_s", TTL_MAX.as_secs()))
}

/// The same, or what is wrong with it.
pub(crate) fn of(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_lowercase());
    let unit = match &text[digits.len()..] {
        "ms" => Some(1),
        "" | "s" => Some(1_000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        "d" => Some(86_400_000),
        _ => None,
    };
    // `+5` parses as a number, too.
    let number =
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<u64>().ok()).flatten();
    let ttl = number.zip(unit).and_then(|(number, unit)| number.checked_mul(unit)).map(Duration::from_millis);
    let shown: String = text.chars().take(80).collect();
    ttl.filter(|ttl| !ttl.is_zero() && *ttl <= TTL_MAX).ok_or_else(|| format!("ttl {shown:?}: {CURE}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_unit_and_bounds() {
        for (text, millis) in
            [("30s", 30_000), ("5", 5_000), ("1ms", 1), ("2m", 120_000), ("36525d", 3_155_760_000_000)]
        {
            assert_eq!(of(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in
            ["", "0", "0s", "-1s", "+1s", "1.5s", "s", "1w", "1 s", "36526d", "99999999999999999999s", "5ſ"]
        {
            let why = of(text).expect_err(text);
            assert!(why.contains("such as `30s`"), "{why}");
        }
    }
}

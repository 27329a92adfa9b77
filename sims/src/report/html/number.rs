//! Numbers as people read them.

use std::time::Duration;

/// A count, to be drawn. Exact below 2^52.
#[expect(clippy::cast_precision_loss, reason = "counts below 2^52, to be drawn")]
pub(super) fn float(count: u64) -> f64 {
    count as f64
}

/// The same of a `usize`.
pub(super) fn size(count: usize) -> f64 {
    float(count as u64)
}

/// One part of a whole; nothing of nothing.
pub(super) fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

/// A place in a drawing, to a tenth; never anything that is no number.
pub(super) fn place(at: f64) -> String {
    let rounded = if at.is_finite() { (at * 10.0).round() / 10.0 } else { 0.0 };
    format!("{}", rounded + 0.0)
}

/// Three digits at most, and no zeros at the end.
pub(super) fn short(value: f64) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    let decimals = match value.abs() {
        size if size >= 99.95 => 0,
        size if size >= 9.995 => 1,
        size if size >= 0.1 => 2,
        _ => 3,
    };
    let text = format!("{value:.decimals$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// Groups of three digits.
pub(super) fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut grouped = String::new();
    for (nth, digit) in digits.chars().enumerate() {
        if nth > 0 && (digits.len() - nth).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `1 node`, `7 nodes`.
pub(super) fn several(number: usize, noun: &str) -> String {
    format!("{} {noun}{}", count(number as u64), if number == 1 { "" } else { "s" })
}

/// Bytes in the unit that fits.
pub(super) fn bytes(bytes: f64) -> String {
    let units = [(1e9, "GB"), (1e6, "MB"), (1e3, "kB")];
    let fitting = units.iter().find(|(unit, _)| bytes >= *unit);
    fitting.map_or_else(
        || format!("{} B", short(bytes)),
        |(unit, name)| format!("{} {name}", short(bytes / unit)),
    )
}

/// Milliseconds in the unit that fits.
pub(super) fn millis(millis: f64) -> String {
    match millis {
        ms if ms < 1_000.0 => format!("{} ms", short(ms)),
        ms if ms < 120_000.0 => format!("{} s", short(ms / 1e3)),
        ms => format!("{} min", short(ms / 60e3)),
    }
}

/// A moment or a length of time, to a tenth of a second.
pub(super) fn clock(time: Duration) -> String {
    let tenths = time.as_millis().div_ceil(100);
    let (minutes, tenths) = (tenths / 600, tenths % 600);
    let seconds = if tenths % 10 == 0 {
        format!("{} s", tenths / 10)
    } else {
        format!("{}.{} s", tenths / 10, tenths % 10)
    };
    match (minutes, tenths) {
        (0, _) => seconds,
        (minutes, 0) => format!("{minutes} min"),
        (minutes, _) => format!("{minutes} min {seconds}"),
    }
}

/// The value that so many of 100 do not exceed; `sorted` must be.
pub(super) fn quantile(sorted: &[f64], percent: usize) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    sorted.get((sorted.len() * percent).div_ceil(100).saturating_sub(1).min(last)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!(
            [0.0, 0.05, 1.0, 2.345, 12.34, 123.4, 1_200.0].map(short),
            ["0", "0.05", "1", "2.35", "12.3", "123", "1200"]
        );
        assert_eq!([999.0, 1_500.0, 2e6].map(bytes), ["999 B", "1.5 kB", "2 MB"]);
        assert_eq!([12.0, 1_500.0, 180_000.0].map(millis), ["12 ms", "1.5 s", "3 min"]);
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!((several(1, "node"), several(2, "node")), ("1 node".into(), "2 nodes".into()));
        let times = [0, 1_500, 60_000, 90_000].map(|ms| clock(Duration::from_millis(ms)));
        assert_eq!(times, ["0 s", "1.5 s", "1 min", "1 min 30 s"]);
    }

    #[test]
    fn what_is_no_number_is_not_written() {
        assert_eq!(
            (short(f64::NAN), place(f64::INFINITY), place(-0.01)),
            ("–".into(), "0".into(), "0".into())
        );
        assert!(ratio(1.0, 0.0).abs() < f64::EPSILON);
    }

    #[test]
    fn quantiles_are_values_that_occur() {
        let sorted: Vec<f64> = (1..=100).map(f64::from).collect();
        let at = |percent| quantile(&sorted, percent).unwrap_or_default();
        for percent in [50, 99, 100] {
            assert!((at(percent) - f64::from(u32::try_from(percent).unwrap())).abs() < 1e-9);
        }
        assert_eq!(quantile(&[], 50), None);
    }
}

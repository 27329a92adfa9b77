//! Tables for people.

use comfy_table::{Table, presets};

/// Rows in columns, two spaces apart, without lines around them: easy to read and to cut.
pub(super) fn table(header: Option<&[&str]>, rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    if let Some(header) = header {
        table.set_header(header);
    }
    table.add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

/// A time span, in the largest unit that fits.
pub(super) fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// A number of bytes, in the largest unit that fits.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1_024 {
        return format!("{bytes} B");
    }
    let mut tenths = u128::from(bytes) * 10 / 1_024;
    let mut unit = 0;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1_024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_each_other() {
        let rows = vec![vec!["ant".into(), "1".into()], vec!["a long name".into(), "2".into()]];
        assert_eq!(table(Some(&["NAME", "N"]), rows), "NAME         N\nant          1\na long name  2");
    }

    #[test]
    fn units_fit_their_numbers() {
        assert_eq!([span(5), span(61), span(7_300), span(200_000)], ["5s", "1m", "2h", "2d"]);
        assert_eq!(
            [size(0), size(1_023), size(1_536), size(3 << 20), size(5 << 50)],
            ["0 B", "1023 B", "1.5 KiB", "3.0 MiB", "5120.0 TiB"]
        );
    }
}

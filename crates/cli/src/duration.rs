use std::time::Duration;

/// Reads a length of time such as `500ms`, `60s`, `5m`, `12h` or `30d`.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (count, unit) = text.split_at(digits);
    let count: u64 =
        count.parse().map_err(|_| "is not a time such as 60s, 5m or 30d".to_owned())?;
    let (scale_ms, unit_name) = match unit {
        "ms" => (1, "milliseconds"),
        "s" => (1_000, "seconds"),
        "m" => (60_000, "minutes"),
        "h" => (3_600_000, "hours"),
        "d" => (86_400_000, "days"),
        "" => return Err("lacks its unit: 60s, 5m, 12h or 30d".to_owned()),
        _ => return Err(format!("has the unknown unit {unit:?}: 60s, 5m, 12h or 30d")),
    };
    let total = count.checked_mul(scale_ms).ok_or_else(|| format!("is too many {unit_name}"))?;
    Ok(Duration::from_millis(total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_number_and_a_unit() {
        assert_eq!(parse("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse("30d"), Ok(Duration::from_secs(30 * 86_400)));
        for bad in ["", "s", "60", "-1s", "1.5h", "1w", "60 s", "99999999999999999d"] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }
}

//! Times and sizes as people read them.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// A time in seconds since 1970, in the time zone of the user.
pub(crate) fn local(seconds: f64) -> String {
    at(seconds, TimeZone::system())
}

/// The same with the zone: for other readers.
pub(crate) fn local_with_zone(seconds: f64) -> String {
    let zone = Timestamp::from_second(seconds as i64);
    let zone =
        zone.map(|time| time.to_zoned_datetime(TimeZone::system()).strftime(" %:z").to_string());
    local(seconds) + &zone.unwrap_or_default()
}

fn at(seconds: f64, zone: TimeZone) -> String {
    let time = Timestamp::from_microsecond((seconds * 1e6) as i64);
    let shown =
        time.map(|time| time.to_zoned_datetime(zone).strftime("%Y-%m-%d %H:%M:%S").to_string());
    shown.unwrap_or_else(|_| format!("{seconds:.0} s after 1970"))
}

/// A duration of some seconds, with two units at most.
pub(crate) fn duration(seconds: f64) -> String {
    let whole = seconds as u64;
    match whole {
        0..10 => format!("{seconds:.2} s"),
        10..60 => format!("{seconds:.0} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        3600..86_400 => format!("{} h {} min", whole / 3600, whole / 60 % 60),
        _ => format!("{} d {} h", whole / 86_400, whole / 3600 % 24),
    }
}

/// A number of bytes.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return if bytes == 1 { "1 byte".to_owned() } else { format!("{bytes} bytes") };
    }
    let (mut number, mut unit) = (bytes as f64 / 1024.0, 0);
    while number >= 1024.0 && unit + 1 < UNITS.len() {
        (number, unit) = (number / 1024.0, unit + 1);
    }
    format!("{number:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_read_as_people_say_them() {
        assert_eq!(at(0.0, TimeZone::UTC), "1970-01-01 00:00:00");
        assert_eq!(at(1_796_044_406.9, TimeZone::UTC), "2026-11-30 13:13:26");
        for (seconds, text) in [
            (0.0, "0.00 s"),
            (9.994, "9.99 s"),
            (59.0, "59 s"),
            (61.0, "1 min 1 s"),
            (7_260.0, "2 h 1 min"),
            (180_000.0, "2 d 2 h"),
        ] {
            assert_eq!(duration(seconds), text);
        }
        for (bytes, text) in [
            (0, "0 bytes"),
            (1, "1 byte"),
            (1023, "1023 bytes"),
            (1536, "1.5 KiB"),
            (3 << 30, "3.0 GiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }
}

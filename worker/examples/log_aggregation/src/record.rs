//! One request, as a line of a log describes it.

use std::borrow::Cow;

use serde::Deserialize;

/// `2026-10-05T13:55`, as bytes.
pub(crate) type Minute = [u8; 16];

/// Which digits and signs a minute has; `0` stands for any digit.
const SHAPE: &Minute = b"0000-00-00T00:00";

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A program that contains the first text in its name belongs to the family with the second one.
/// The first line that applies counts: most browsers also call themselves by older names.
const FAMILIES: [(&str, &str); 6] = [
    ("bot", "bot"),
    ("Edg/", "edge"),
    ("Firefox/", "firefox"),
    ("Chrome/", "chrome"),
    ("Safari/", "safari"),
    ("curl/", "curl"),
];

/// One request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    pub(crate) minute: Minute,
    pub(crate) client: Cow<'a, str>,
    /// Without the query; segments that are numbers are `{id}`.
    pub(crate) path: Cow<'a, str>,
    /// The family of the client's program.
    pub(crate) agent: &'static str,
    /// 100 to 599.
    pub(crate) status: u16,
    /// How many bytes the response has.
    pub(crate) bytes: u64,
    /// How long the response took, in microseconds. nginx does not log it.
    pub(crate) micros: Option<u64>,
}

/// A line of nginx's combined format; `None` for any other line.
pub(crate) fn combined(line: &str) -> Option<Record<'_>> {
    let (client, rest) = line.split_once(' ')?;
    let (_user, rest) = rest.split_once('[')?;
    let (time, rest) = rest.split_once("] \"")?;
    let (request, rest) = rest.split_once("\" ")?;
    let (status, rest) = rest.split_once(' ')?;
    let (bytes, rest) = rest.split_once(" \"")?;
    let (_referer, agent) = rest.split_once("\" \"")?;
    let mut words = request.split(' ');
    let (_method, target, _version) = (words.next()?, words.next()?, words.next()?);
    Some(Record {
        minute: minute_of_nginx(time)?,
        client: Cow::Borrowed(client),
        path: normalized(Cow::Borrowed(target)),
        agent: family(agent.strip_suffix('"')?),
        status: status.parse().ok().filter(is_status)?,
        bytes: if bytes == "-" { 0 } else { bytes.parse().ok()? },
        micros: None,
    })
}

/// A line of JSON, as its service writes it. Unknown fields are ignored.
#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    time: Cow<'a, str>,
    #[serde(borrow)]
    client: Cow<'a, str>,
    #[serde(borrow)]
    path: Cow<'a, str>,
    #[serde(borrow)]
    agent: Cow<'a, str>,
    status: u16,
    bytes: u64,
    micros: u64,
}

/// A line of JSON; `None` for any other line.
pub(crate) fn json(line: &str) -> Option<Record<'_>> {
    let event: Event<'_> = serde_json::from_str(line).ok()?;
    Some(Record {
        minute: event.time.as_bytes().get(..SHAPE.len())?.try_into().ok().filter(is_minute)?,
        client: event.client,
        path: normalized(event.path),
        agent: family(&event.agent),
        status: Some(event.status).filter(is_status)?,
        bytes: event.bytes,
        micros: Some(event.micros),
    })
}

fn is_status(status: &u16) -> bool {
    (100..600).contains(status)
}

fn is_minute(minute: &Minute) -> bool {
    minute.iter().zip(SHAPE).all(|(byte, shape)| match shape {
        b'0' => byte.is_ascii_digit(),
        sign => byte == sign,
    })
}

/// The minute of `10/Oct/2026:13:55:36 +0000`.
fn minute_of_nginx(time: &str) -> Option<Minute> {
    let month = MONTHS.iter().position(|name| time.get(3..6) == Some(*name))? + 1;
    let bytes = time.as_bytes();
    let mut minute = *SHAPE;
    minute[..4].copy_from_slice(bytes.get(7..11)?);
    minute[5] = b'0' + (month / 10) as u8;
    minute[6] = b'0' + (month % 10) as u8;
    minute[8..10].copy_from_slice(&bytes[..2]);
    minute[11..].copy_from_slice(bytes.get(12..17)?);
    let signs = (bytes[2], bytes[6], bytes[11]);
    Some(minute).filter(|minute| signs == (b'/', b'/', b':') && is_minute(minute))
}

/// A path without its query, where each segment that is a number is `{id}`.
fn normalized(target: Cow<'_, str>) -> Cow<'_, str> {
    let path = match target {
        Cow::Borrowed(text) => Cow::Borrowed(text.split('?').next().unwrap_or_default()),
        Cow::Owned(text) => Cow::Owned(text.split('?').next().unwrap_or_default().to_owned()),
    };
    let is_number =
        |segment: &str| !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_digit());
    if !path.split('/').skip(1).any(is_number) {
        return path;
    }
    let mut text = String::with_capacity(path.len() + 8);
    for (nth, segment) in path.split('/').enumerate() {
        if nth > 0 {
            text.push('/');
        }
        text.push_str(if nth > 0 && is_number(segment) { "{id}" } else { segment });
    }
    Cow::Owned(text)
}

fn family(agent: &str) -> &'static str {
    FAMILIES.iter().find(|(name, _)| agent.contains(name)).map_or("other", |(_, family)| *family)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "10.0.3.4 - ann [05/Oct/2026:13:55:36 +0000] \
                        \"GET /users/17/orders/4?page=2 HTTP/1.1\" 200 5120 \
                        \"https://example.org/\" \"Mozilla/5.0 Chrome/141.0 Safari/537.36\"";

    #[test]
    fn a_line_of_nginx_is_read() {
        let expected = Record {
            minute: *b"2026-10-05T13:55",
            client: "10.0.3.4".into(),
            path: "/users/{id}/orders/{id}".into(),
            agent: "chrome",
            status: 200,
            bytes: 5120,
            micros: None,
        };
        assert_eq!(combined(LINE), Some(expected));
        let without_body = LINE.replace(" 5120 ", " - ");
        assert_eq!(combined(&without_body).map(|record| record.bytes), Some(0));
    }

    #[test]
    fn a_line_of_json_is_read() {
        let line = r#"{"time":"2026-10-05T13:55:36Z","client":"10.0.3.4","method":"GET",
            "path":"/a\/7","status":503,"bytes":0,"micros":1834,"agent":"curl/8.14"}"#;
        let record = json(line).expect("a record");
        assert_eq!((&*record.path, record.agent), ("/a/{id}", "curl"));
        assert_eq!((record.status, record.micros), (503, Some(1834)));
        assert_eq!(&record.minute, b"2026-10-05T13:55");
        assert_eq!(json(&line.replace("\"bytes\":0,", "")), None, "a field is missing");
        assert_eq!(json(&line.replace("503", "603")), None);
        assert_eq!(json(&line.replace("-10-", "-1-")), None);
    }

    #[test]
    fn other_lines_are_refused() {
        let times = [("Oct", "Okt"), ("05/", "5/"), ("2026:13", "2026 13"), ("13:55", "13h55")];
        let others = [("\"GET", "GET"), (" 200 ", " 2oo "), (" 200 ", " 99 "), (" 5120 ", " x ")];
        for (part, other) in times.into_iter().chain(others) {
            assert_eq!(combined(&LINE.replacen(part, other, 1)), None, "{other}");
        }
        for line in ["", "x", "[", "\" \"", &LINE[..LINE.len() - 1], "\u{1F980} - - [] \"\" "] {
            assert_eq!(combined(line), None, "{line}");
            assert_eq!(json(line), None, "{line}");
        }
    }

    #[test]
    fn only_whole_segments_are_numbers() {
        let paths = [
            ("/", "/"),
            ("/v2/items", "/v2/items"),
            ("/7", "/{id}"),
            ("/1//2/", "/{id}//{id}/"),
            ("/a?b=/1", "/a"),
            ("7/8", "7/{id}"),
        ];
        for (target, path) in paths {
            assert_eq!(normalized(target.into()), path);
            assert_eq!(normalized(Cow::Owned(target.to_owned())), path);
        }
    }
}

//! The page of `msup report`: one file with all that it needs.

use std::io::{self, Write};

use serde_json::Value;

const HTML: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
const SCRIPT: &str = include_str!("page/page.js");
/// uPlot 1.6, under the MIT licence, which stands beside it.
const CHART_STYLE: &str = include_str!("page/uplot.css");
const CHART_SCRIPT: &str = include_str!("page/uplot.js");

/// Writes the page with this data.
///
/// # Errors
/// It cannot be written.
pub(crate) fn write(out: &mut impl Write, data: &Value) -> io::Result<()> {
    let mut rest = HTML;
    let data = embedded(data);
    for (mark, text) in [
        ("/*chart-style*/", CHART_STYLE),
        ("/*style*/", STYLE),
        ("/*data*/", data.as_str()),
        ("/*chart-script*/", CHART_SCRIPT),
        ("/*script*/", SCRIPT),
    ] {
        let (before, after) = rest.split_once(mark).unwrap_or((rest, ""));
        out.write_all(before.as_bytes())?;
        out.write_all(text.as_bytes())?;
        rest = after;
    }
    out.write_all(rest.as_bytes())
}

/// JSON that can stand in an element of a page, whatever strings are in it: without `<`, `>` and
/// `&`, which only occur in strings.
fn embedded(data: &Value) -> String {
    let json = data.to_string();
    json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_all_its_parts_and_no_value_leaves_its_string() {
        let hostile = "</script><script>alert(1)</script><!--";
        let mut page = Vec::new();
        write(&mut page, &serde_json::json!({ "value": hostile })).expect("memory");
        let page = String::from_utf8(page).expect("text");
        assert!(!page.contains("/*") || !page.contains("/*data*/"), "each mark is replaced");
        assert!(page.contains("var uPlot") && page.contains("\\u003c/script\\u003e"));
        assert_eq!(page.matches("</script>").count(), 3, "those of the page itself");
        assert!(page.ends_with("</html>\n"));
    }
}

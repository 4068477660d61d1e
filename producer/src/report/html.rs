//! Text that goes into a page. Pure.

/// A text as HTML shows it, in an element or in a quoted attribute.
#[must_use]
pub(super) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            // what HTML does not allow in a text
            '\n' | '\t' => safe.push(c),
            _ if c.is_control() => safe.push('\u{fffd}'),
            _ => safe.push(c),
        }
    }
    safe
}

/// More columns than this do not fit a phone: there each row becomes a paragraph, and each cell has its heading before it.
const NARROW: usize = 3;

/// A table; `numbers` says which columns hold numbers. Cells are texts.
#[must_use]
pub(super) fn table(
    heading: &[&str],
    numbers: &[bool],
    rows: impl IntoIterator<Item = Vec<String>>,
) -> String {
    let class = |at: usize| {
        if numbers.get(at) == Some(&true) {
            " class=\"n\""
        } else {
            ""
        }
    };
    let wide = if heading.len() > NARROW {
        " class=\"wide\""
    } else {
        ""
    };
    let mut html = format!("<div class=\"scroll\"><table{wide}><thead><tr>");
    for (at, cell) in heading.iter().enumerate() {
        html += &format!("<th scope=\"col\"{}>{}</th>", class(at), escape(cell));
    }
    html += "</tr></thead><tbody>\n";
    for row in rows {
        html += "<tr>";
        for (at, cell) in row.iter().enumerate() {
            let label = heading.get(at).filter(|_| at > 0 && !wide.is_empty());
            let label = label.map_or_else(String::new, |label| format!(" data-l=\"{}\"", escape(label)));
            html += &format!("<td{}{label}>{}</td>", class(at), escape(cell));
        }
        html += "</tr>\n";
    }
    html + "</tbody></table></div>\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_is_read_as_a_page() {
        let hostile = "</td><script>alert('x')</script>\"& \u{1b}[31m";
        let safe = escape(hostile);
        assert_eq!(
            safe,
            "&lt;/td&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&quot;&amp; \u{fffd}[31m"
        );
        let table = table(&["<b>"], &[true], [vec!["<i>".to_owned()]]);
        assert!(
            table.contains("<th scope=\"col\" class=\"n\">&lt;b&gt;</th>")
                && table.contains("<td class=\"n\">&lt;i&gt;</td>")
        );
    }
}

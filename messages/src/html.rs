//! The same words as a page of a mail: made from the plain text, so that the two never say different things, and
//! no language has to be written twice.
//!
//! A blank line parts paragraphs; what is indented by four spaces is a code, shown large. Styles stand inline,
//! since mail programs drop everything else; nothing is loaded, so nothing is missing where images are blocked, and
//! nobody is told that the mail was opened. Everything is escaped: an action's name is an API client's text.

use zeroize::Zeroizing;

const PAGE: &str = "margin:0;padding:24px 16px;background:#ffffff;color:#1a1a1a;\
    font:16px/1.5 -apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif";
const COLUMN: &str = "max-width:560px;margin:0 auto";
const PARAGRAPH: &str = "margin:0 0 16px";
const CODE: &str = "margin:0 0 16px;padding:16px;background:#f2f2f2;color:#000000;border-radius:8px;\
    font:bold 32px/1.25 ui-monospace,Menlo,Consolas,monospace;letter-spacing:6px;text-align:center";

/// What is too long to be read aloud, and is copied.
const TOKEN: &str = "margin:0 0 16px;padding:16px;background:#f2f2f2;color:#000000;border-radius:8px;\
    font:16px/1.5 ui-monospace,Menlo,Consolas,monospace;overflow-wrap:anywhere";
/// The longest code that people type.
const TYPED: usize = 20;

/// How a code stands in the plain text.
const INDENT: &str = "    ";

/// The page of a mail, in the language of this tag.
pub(crate) fn page(language: &str, issuer: &str, subject: &str, text: &str) -> Zeroizing<String> {
    let (issuer, subject) = (escaped(issuer), escaped(subject));
    let mut page = Zeroizing::new(String::with_capacity(2 * text.len() + 1_500));
    for piece in [
        "<!DOCTYPE html>\n<html lang=\"",
        language,
        "\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>",
        &subject,
        "</title>\n</head>\n<body style=\"",
        PAGE,
        "\">\n<div style=\"",
        COLUMN,
        "\">\n<p style=\"",
        PARAGRAPH,
        "\"><strong>",
        &issuer,
        "</strong></p>\n",
    ] {
        page.push_str(piece);
    }
    for paragraph in text.split("\n\n").filter(|paragraph| !paragraph.trim().is_empty()) {
        let style = match paragraph.strip_prefix(INDENT) {
            Some(code) if code.trim().len() > TYPED => TOKEN,
            Some(_) => CODE,
            None => PARAGRAPH,
        };
        let words = Zeroizing::new(escaped(paragraph.trim()));
        page.push_str("<p style=\"");
        page.push_str(style);
        page.push_str("\">");
        page.push_str(&words.replace('\n', "<br>\n"));
        page.push_str("</p>\n");
    }
    page.push_str("</div>\n</body>\n</html>\n");
    page
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::page;

    #[test]
    fn nothing_that_was_entered_becomes_markup() {
        let page =
            page("en", "A & \"B\" <script>", "It's <b>", "Hi <img src=x onerror='alert(1)'>\n\n    123456\n\n& you\n");
        assert!(!page.contains("<script") && !page.contains("<img") && !page.contains("<b>"), "{}", *page);
        assert!(page.contains("A &amp; &quot;B&quot; &lt;script&gt;") && page.contains("It&#39;s &lt;b&gt;"));
        assert!(page.contains("&lt;img src=x onerror=&#39;alert(1)&#39;&gt;") && page.contains("&amp; you"));
    }

    #[test]
    fn it_is_a_page_with_a_language_and_a_title_that_loads_nothing() {
        let page = page("en", "Example", "Your code", "Your code is:\n\n    123456\n\nWhen: now\nFrom: here\n");
        assert!(page.starts_with("<!DOCTYPE html>\n<html lang=\"en\">") && page.contains("<title>Your code</title>"));
        assert!(page.contains(">123456</p>") && page.contains("bold 32px"), "the code alone, large: {}", *page);
        assert!(page.contains("When: now<br>\nFrom: here</p>"));
        for loads in ["http", "src=", "href=", "url(", "<style", "<link", "<img", "@import"] {
            assert!(!page.contains(loads), "{loads}");
        }
        assert!(page.lines().all(|line| line.len() < 998), "a line of a mail has fewer than 998 characters");
    }
}

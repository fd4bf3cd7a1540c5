//! URL templates: two frames have two URLs, a template without placeholders is its own URL, and the text of a template is kept.

use api::template::Template;

const INDICES: [i64; 8] = [0, 1, 9, 10, 42, 99_999, 100_000, i64::MAX];

pub(super) fn run(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    check_literal(text);
    let Ok(template) = Template::parse(text) else { return };
    assert_eq!(template.to_string(), text);
    assert_eq!(template.to_string().parse(), Ok(template.clone()));
    let urls: Vec<String> = INDICES.iter().map(|&index| template.url(index, 7)).collect();
    for (at, url) in urls.iter().enumerate() {
        let same = urls.iter().position(|other| other == url);
        assert!(same == Some(if template.has_index() { at } else { 0 }), "{text}: {urls:?}");
        assert!(url.len() <= 20 * text.len());
    }
    let has_depth = template.url(1, 7) != template.url(1, 8);
    assert_eq!(template.has_depth(), has_depth, "{text}");
    let _ = (template.url(i64::MIN, usize::MAX), template.url(-1, 0));
    // A URL that a template gives is a template without placeholders, if its own percent signs and braces are kept.
    check_literal(&urls[0]);
}

/// A text with escaped braces is a template of this text.
fn check_literal(text: &str) {
    if text.is_empty() || text.contains('%') {
        return;
    }
    let template = Template::parse(&text.replace('{', "{{").replace('}', "}}")).unwrap();
    assert_eq!(template.url(5, 6), text);
    assert!(!template.has_index() && !template.has_depth());
}

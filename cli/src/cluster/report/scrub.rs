//! What nobody else should see, taken out of what is sent to somebody.

use serde_json::Value;

/// What stands in the place of a secret.
const GONE: &str = "…";
/// A name that holds one of these names a secret.
const SECRETIVE: [&str; 7] = ["token", "secret", "passw", "credential", "signature", "apikey", "api_key"];
/// Names that are too short to be searched for in others.
const SECRETIVE_WHOLE: [&str; 4] = ["sig", "key", "auth", "authorization"];
/// What comes before a secret in a header.
const SCHEMES: [&str; 2] = ["bearer ", "basic "];

/// Bookkeeping of the API server, and what repeats the manifest, taken out of an object; settings with a secret's name lose
/// their values.
pub(super) fn tidy(object: &mut Value) {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
        if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
        }
    }
    settings(object);
}

/// Environment variables, wherever they stand.
fn settings(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            let named = fields.get("name").and_then(Value::as_str).is_some_and(is_secretive);
            if named && let Some(Value::String(text)) = fields.get_mut("value") {
                GONE.clone_into(text);
            }
            fields.values_mut().for_each(settings);
        }
        Value::Array(items) => items.iter_mut().for_each(settings),
        _ => {}
    }
}

fn is_secretive(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRETIVE.iter().any(|part| name.contains(part)) || SECRETIVE_WHOLE.contains(&name.as_str())
}

/// Users and passwords of URLs, values of parameters and fields with a secret's name, and what follows `Bearer`.
pub(super) fn scrub(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let (keep, skip) = if let Some(after) = rest.strip_prefix("://") {
            // Up to the last @ before the path.
            let authority = after.find(|c: char| c.is_whitespace() || "/?#\"'<>\\".contains(c)).unwrap_or(after.len());
            (3, after[..authority].rfind('@').unwrap_or(0))
        } else if let Some(separator) = separator(rest).filter(|_| is_secretive(last_word(&out))) {
            let value = &rest[separator..];
            // What is quoted may hold anything but a quote.
            let quoted = rest[..separator].ends_with('"');
            (separator, if quoted { value.find(['"', '\\']).unwrap_or(value.len()) } else { value_length(value) })
        } else if let Some(scheme) = scheme(rest, &out) {
            (scheme, value_length(&rest[scheme..]))
        } else {
            (letter.len_utf8(), 0)
        };
        out.push_str(&rest[..keep]);
        if skip > 0 {
            out.push_str(GONE);
        }
        rest = &rest[keep + skip..];
    }
    out
}

/// Length of what stands between a name and its value: `=`, or as JSON has it `":"`.
fn separator(rest: &str) -> Option<usize> {
    ["=\"", "=", "\":\"", "\": \"", "\\\":\\\""].into_iter().find(|separator| rest.starts_with(separator)).map(str::len)
}

/// Length of a word that announces a secret.
fn scheme(rest: &str, before: &str) -> Option<usize> {
    let begins = !before.ends_with(|c: char| c.is_alphanumeric());
    let found = SCHEMES.iter().find(|scheme| rest.get(..scheme.len()).is_some_and(|word| word.eq_ignore_ascii_case(scheme)));
    found.filter(|_| begins).map(|scheme| scheme.len())
}

fn last_word(text: &str) -> &str {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let length: usize = text.chars().rev().take_while(|&c| part(c)).map(char::len_utf8).sum();
    &text[text.len() - length..]
}

fn value_length(rest: &str) -> usize {
    rest.find(|c: char| c.is_whitespace() || "\"'&;,)<>]}\\".contains(c)).unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn secrets_are_taken_out_and_nothing_else() {
        for (text, scrubbed) in [
            ("GET http://h:80/slice/power?token=0123abc&sel=1 done", "GET http://h:80/slice/power?token=…&sel=1 done"),
            ("https://me:p@ss@h/x@y", "https://…@h/x@y"),
            ("s3://bucket/a?X-Amz-Signature=ff&X-Amz-Date=1", "s3://bucket/a?X-Amz-Signature=…&X-Amz-Date=1"),
            ("?sv=2020&sig=a%2Bb", "?sv=2020&sig=…"),
            ("authorization: Bearer abc.def, x", "authorization: Bearer …, x"),
            ("{\"token\":\"abc\",\"x\":\"y\"}", "{\"token\":\"…\",\"x\":\"y\"}"),
            ("{\"accessToken\": \"abc\"}", "{\"accessToken\": \"…\"}"),
            ("password=\"a b\"", "password=\"…\""),
            ("secretName: demo-1\nautomountServiceAccountToken: false", "secretName: demo-1\nautomountServiceAccountToken: false"),
            ("urlTemplate: http://demo-movie/{index}.png", "urlTemplate: http://demo-movie/{index}.png"),
            ("phase=Load server=3 monkey=1", "phase=Load server=3 monkey=1"),
            ("basically 5 µs …token=ü x", "basically 5 µs …token=… x"),
            ("token=", "token="),
            ("", ""),
        ] {
            assert_eq!(scrub(text), scrubbed);
        }
    }

    #[test]
    fn objects_lose_bookkeeping_and_values_of_settings() {
        let mut pod = json!({
            "metadata": {"name": "j-0", "managedFields": [1], "annotations": {
                "kubectl.kubernetes.io/last-applied-configuration": "{}", "mine": "kept"}},
            "spec": {"containers": [{"name": "server", "env": [
                {"name": "API_TOKEN", "value": "abc"}, {"name": "RUST_LOG", "value": "info"},
                {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]}]},
        });
        tidy(&mut pod);
        assert_eq!(
            pod,
            json!({
                "metadata": {"name": "j-0", "annotations": {"mine": "kept"}},
                "spec": {"containers": [{"name": "server", "env": [
                    {"name": "API_TOKEN", "value": "…"}, {"name": "RUST_LOG", "value": "info"},
                    {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]}]},
            })
        );
        tidy(&mut json!(null));
    }
}

//! Removes secrets from texts that users send to others.

use serde_json::Value;

/// Replaces a secret.
const REMOVED: &str = "…";
/// Names of secrets contain one of these.
const SECRET_PARTS: [&str; 7] = ["token", "secret", "passw", "credential", "signature", "apikey", "api_key"];
/// Names of secrets that are too short to search for inside other names.
const SECRET_NAMES: [&str; 4] = ["sig", "key", "auth", "authorization"];
/// Schemes before a secret in a header.
const SCHEMES: [&str; 2] = ["bearer ", "basic "];

/// Removes the API server's bookkeeping, copies of the manifest, and the values of settings with a secret's name.
pub(super) fn tidy(object: &mut Value) {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
        if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
        }
    }
    remove_settings(object);
}

/// Removes the values of environment variables with a secret's name, at any depth.
fn remove_settings(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            let named = fields.get("name").and_then(Value::as_str).is_some_and(is_secret);
            if named && let Some(Value::String(text)) = fields.get_mut("value") {
                REMOVED.clone_into(text);
            }
            fields.values_mut().for_each(remove_settings);
        }
        Value::Array(items) => items.iter_mut().for_each(remove_settings),
        _ => {}
    }
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_PARTS.iter().any(|part| name.contains(part)) || SECRET_NAMES.contains(&name.as_str())
}

/// Removes users and passwords from URLs, values from parameters and fields with a secret's name, and credentials after `Bearer`
/// and `Basic`.
pub(super) fn scrub(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let (keep, skip) = if let Some(after) = rest.strip_prefix("://") {
            // The user part ends at the last @ before the path.
            let authority = after.find(|c: char| c.is_whitespace() || "/?#\"'<>\\".contains(c)).unwrap_or(after.len());
            (3, after[..authority].rfind('@').unwrap_or(0))
        } else if let Some(separator) = separator(rest).filter(|_| is_secret(last_word(&out))) {
            let value = &rest[separator..];
            // A quoted value may contain any character except a quote.
            let quoted = rest[..separator].ends_with('"');
            (separator, if quoted { value.find(['"', '\\']).unwrap_or(value.len()) } else { value_length(value) })
        } else if let Some(scheme) = scheme(rest, &out) {
            (scheme, value_length(&rest[scheme..]))
        } else {
            (letter.len_utf8(), 0)
        };
        out.push_str(&rest[..keep]);
        if skip > 0 {
            out.push_str(REMOVED);
        }
        rest = &rest[keep + skip..];
    }
    out
}

/// Length of the separator between a name and its value: `=`, or `":"` of JSON.
fn separator(rest: &str) -> Option<usize> {
    ["=\"", "=", "\":\"", "\": \"", "\\\":\\\""].into_iter().find(|separator| rest.starts_with(separator)).map(str::len)
}

/// Length of a scheme at the start of `rest`, if no word continues from `before`.
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
    fn only_secrets_are_removed() {
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
    fn bookkeeping_and_secret_settings_are_removed() {
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

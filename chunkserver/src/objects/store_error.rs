//! Errors of object stores in one line. The client library returns the whole response body of a store, which may have many lines.

use api::words::chain;
use object_store::Error;

/// Longest message, in characters.
const MAX_LENGTH: usize = 500;
/// Addresses of the metadata services of clouds, which the client library requests when it has no keys.
const METADATA_SERVICES: [&str; 2] = ["//169.254.169.254", "//metadata.google.internal"];

/// Kinds of store errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreErrorKind {
    /// No keys are available.
    MissingKeys,
    /// The store refuses the keys.
    Refused,
    /// All other errors.
    Other,
}

/// The kind of an error.
pub fn store_error_kind(error: &Error) -> StoreErrorKind {
    let text = chain(error);
    if METADATA_SERVICES.iter().any(|address| text.contains(address)) {
        return StoreErrorKind::MissingKeys;
    }
    // For a refused list request, the library has no variant of its own.
    let refused = ["code: 401", "code: 403"].iter().any(|code| text.contains(code));
    if refused || matches!(error, Error::PermissionDenied { .. } | Error::Unauthenticated { .. }) {
        return StoreErrorKind::Refused;
    }
    StoreErrorKind::Other
}

/// Texts of the client library before the status and before the body of a response.
const STATUS: &str = "Server returned non-2xx status code: ";
const BODY: &str = "Server returned error response: ";

/// The request and the status. Of a response in XML, also the code and the first line of the message. Any other body is omitted: the address of
/// a store is a setting, so the body may belong to any server.
pub fn store_message(error: &Error) -> String {
    let text = chain(error);
    // The text before the request repeats it.
    let text = text.rfind("Error performing").map_or(text.as_str(), |at| &text[at..]);
    let (request, response) = text.split_at(text.find("<?xml").or_else(|| text.find("<Error>")).unwrap_or(text.len()));
    let request = without_body(request).trim_end_matches([':', ' ']);
    let message = match (element(response, "Code"), element(response, "Message")) {
        (Some(code), Some(message)) => format!("{request}: {code}: {message}"),
        (Some(code), None) => format!("{request}: {code}"),
        _ => request.to_owned(),
    };
    let words: Vec<&str> = message.split_whitespace().collect();
    words.join(" ").trim_end_matches([':', ' ']).chars().take(MAX_LENGTH).collect()
}

fn without_body(text: &str) -> &str {
    let after = |marker: &str| text.find(marker).map(|at| at + marker.len());
    let end = match (after(STATUS), after(BODY)) {
        (Some(status), _) => text[status..].find(':').map_or(text.len(), |length| status + length),
        (None, Some(body)) => body,
        (None, None) => text.len(),
    };
    &text[..end]
}

/// The first line of the content of an element.
fn element<'a>(response: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = response.split_once(&format!("<{name}>"))?;
    let (inside, _) = rest.split_once(&format!("</{name}>"))?;
    inside.trim().lines().next().map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generic(text: &str) -> Error {
        Error::Generic { store: "S3", source: text.into() }
    }

    #[test]
    fn a_response_of_many_lines_becomes_one_line() {
        let error = generic(
            "Error performing list request: Error performing GET http://host/c in 3ms - Server returned non-2xx status code: 404 Not \
             Found: <?xml version=\"1.0\"?>\n<Error>\n  <Code>ContainerNotFound</Code>\n  <Message>It is not there.\nRequestId:1</Message>\n\
             </Error>",
        );
        let expected = "Error performing GET http://host/c in 3ms - Server returned non-2xx status code: 404 Not Found: \
                        ContainerNotFound: It is not there.";
        assert_eq!(store_message(&error), expected);
        assert_eq!(store_error_kind(&error), StoreErrorKind::Other);
        let page =
            generic("Error performing GET http://host/c in 3ms - Server returned non-2xx status code: 404 Not Found: {\"secret\": 1}");
        assert_eq!(store_message(&page), "Error performing GET http://host/c in 3ms - Server returned non-2xx status code: 404 Not Found");
        assert_eq!(store_message(&generic("a\n b")), "Generic S3 error: a b");
        assert!(store_message(&generic(&"long ".repeat(1000))).len() <= MAX_LENGTH);
    }

    #[test]
    fn wrong_keys_and_missing_keys_are_distinguished() {
        let listed = generic("Error performing GET http://host/c in 3ms - Server returned non-2xx status code: 403 Forbidden: ");
        assert_eq!(store_error_kind(&listed), StoreErrorKind::Refused);
        assert!(store_message(&listed).ends_with("403 Forbidden"), "{}", store_message(&listed));
        let denied = Error::Unauthenticated { path: "a".into(), source: "no".into() };
        assert_eq!(store_error_kind(&denied), StoreErrorKind::Refused);
        let asked = generic("Error performing GET http://169.254.169.254/latest - Server returned non-2xx status code: 403 Forbidden");
        assert_eq!(store_error_kind(&asked), StoreErrorKind::MissingKeys);
    }
}

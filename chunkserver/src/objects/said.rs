//! What a store complains of, in one line: its client library passes on whole answers, which some stores make pages of.

use api::words::chain;
use object_store::Error;

/// Characters that are shown.
const SHOWN: usize = 500;
/// Where a machine in a cloud asks for keys of its own, when it was given none.
const MACHINES_OWN: [&str; 2] = ["//169.254.169.254", "//metadata.google.internal"];

/// What kind of complaint it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Complaint {
    /// There are no keys.
    Keyless,
    /// The keys are not the right ones.
    Refused,
    /// Anything else.
    Other,
}

/// Tells them apart.
pub fn complaint(error: &Error) -> Complaint {
    let text = chain(error);
    if MACHINES_OWN.iter().any(|place| text.contains(place)) {
        return Complaint::Keyless;
    }
    // Where a list is refused, the library has no other word for it.
    let refused = ["code: 401", "code: 403"].iter().any(|code| text.contains(code));
    if refused || matches!(error, Error::PermissionDenied { .. } | Error::Unauthenticated { .. }) {
        return Complaint::Refused;
    }
    Complaint::Other
}

/// The request and what it was answered; of an answer in XML, its code and the first line of its message.
pub fn said(error: &Error) -> String {
    let text = chain(error);
    // What stands before the request says nothing that it does not.
    let text = text.rfind("Error performing").map_or(text.as_str(), |at| &text[at..]);
    let (request, answer) = text.split_at(text.find("<?xml").or_else(|| text.find("<Error>")).unwrap_or(text.len()));
    let shown = match (element(answer, "Code"), element(answer, "Message")) {
        (Some(code), Some(message)) => format!("{request}{code}: {message}"),
        (Some(code), None) => format!("{request}{code}"),
        _ => text.to_owned(),
    };
    let words: Vec<&str> = shown.split_whitespace().collect();
    words.join(" ").trim_end_matches([':', ' ']).chars().take(SHOWN).collect()
}

/// The first line in an element.
fn element<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = answer.split_once(&format!("<{name}>"))?;
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
    fn an_answer_of_many_lines_is_one() {
        let error = generic(
            "Error performing list request: Error performing GET http://host/c in 3ms - Server returned non-2xx status code: 404 Not \
             Found: <?xml version=\"1.0\"?>\n<Error>\n  <Code>ContainerNotFound</Code>\n  <Message>It is not there.\nRequestId:1</Message>\n\
             </Error>",
        );
        let expected = "Error performing GET http://host/c in 3ms - Server returned non-2xx status code: 404 Not Found: \
                        ContainerNotFound: It is not there.";
        assert_eq!(said(&error), expected);
        assert_eq!(complaint(&error), Complaint::Other);
        assert_eq!(said(&generic("a\n b")), "Generic S3 error: a b");
        assert!(said(&generic(&"long ".repeat(1000))).len() <= SHOWN);
    }

    #[test]
    fn keys_that_are_wrong_are_told_from_keys_that_are_not_there() {
        let listed = generic("Error performing GET http://host/c in 3ms - Server returned non-2xx status code: 403 Forbidden: ");
        assert_eq!(complaint(&listed), Complaint::Refused);
        assert!(said(&listed).ends_with("403 Forbidden"), "{}", said(&listed));
        let denied = Error::Unauthenticated { path: "a".into(), source: "no".into() };
        assert_eq!(complaint(&denied), Complaint::Refused);
        let asked = generic("Error performing GET http://169.254.169.254/latest - Server returned non-2xx status code: 403 Forbidden");
        assert_eq!(complaint(&asked), Complaint::Keyless);
    }
}

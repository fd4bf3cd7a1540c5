use super::*;
use api::phase::{BootId, Failure, Phase, PhaseProgress, Progress, Stage, Vitals, Wait, Writing};
use std::collections::BTreeSet;

/// The names of an object's properties.
fn names(object: &Value) -> BTreeSet<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn the_committed_document_equals_the_generated_document() {
    let committed: Value = serde_json::from_str(include_str!("../../../../docs/openapi.json")).unwrap();
    assert!(committed == document(), "the routes have changed: run make openapi");
}

#[test]
fn every_parameter_of_a_path_is_described() {
    for route in READERS {
        let in_path: Vec<&str> = route
            .parameters
            .iter()
            .filter(|parameter| parameter.location == ParameterLocation::Path)
            .map(|parameter| parameter.name)
            .collect();
        let path = documented(route.path);
        let written: Vec<&str> = path.split('{').skip(1).filter_map(|rest| rest.split('}').next()).collect();
        assert_eq!(in_path, written, "{path}");
        assert!(route.responses.iter().any(|response| response.status == 200), "{path} has no response 200");
    }
    assert_eq!(documented("/a/{*key}"), "/a/{key}");
}

#[test]
fn the_routes_of_our_programs_are_in_the_table() {
    use api::wire::route::{PEEK, SLICE, STATUS, ZARR};
    for path in [format!("{SLICE}/{{array}}"), format!("{PEEK}/{{index}}"), STATUS.to_owned(), format!("{ZARR}/{{*key}}")] {
        assert!(READERS.iter().any(|route| route.path == path), "{path}");
    }
}

#[test]
fn the_http_api_document_describes_every_route() {
    let text = include_str!("../../../../docs/http-api.md");
    for route in READERS {
        let request = format!("GET {}", documented(route.path));
        // A section of the route, or a mention in another section.
        assert!(text.contains(&format!("\n### {request}\n")) || text.contains(&format!("`{request}`")), "docs/http-api.md lacks {request}");
    }
}

#[test]
fn the_http_api_document_states_the_protocol_version() {
    let text = include_str!("../../../../docs/http-api.md");
    let stated = format!("Header `X-Arrayjob-Version: {}`,", api::wire::VERSION);
    assert!(text.contains(&stated), "docs/http-api.md lacks '{stated}'");
}

#[test]
fn every_route_with_parameters_documents_an_unreadable_one() {
    let document = document();
    for route in READERS.iter().filter(|route| !route.parameters.is_empty()) {
        let response = &document["paths"][documented(route.path)]["get"]["responses"]["400"];
        assert_eq!(response["content"]["application/json"]["schema"]["$ref"], "#/components/schemas/Problem", "{}", route.path);
    }
}

#[test]
fn every_referenced_schema_exists() {
    fn named<'a>(value: &'a Value, into: &mut BTreeSet<&'a str>) {
        match value {
            Value::Object(fields) => fields.iter().for_each(|(name, field)| match field.as_str().filter(|_| name == "$ref") {
                Some(reference) => drop(into.insert(reference)),
                None => named(field, into),
            }),
            Value::Array(items) => items.iter().for_each(|item| named(item, into)),
            _ => {}
        }
    }
    let document = document();
    let mut references = BTreeSet::new();
    named(&document, &mut references);
    assert!(references.len() > 5, "{references:?}");
    for reference in references {
        assert!(document.pointer(reference.strip_prefix('#').unwrap()).is_some(), "{reference}");
    }
}

#[test]
fn the_schema_of_progress_matches_the_json() {
    let failure = || Some(Failure { reason: "r".into(), message: "m".into() });
    let phase = PhaseProgress { phase: Phase::Load, done: 1, total: 2, bytes: 3, retries: 0, started_ms: 4, ended_ms: 5 };
    let progress = Progress {
        digests: 0,
        checksum_mismatches: 0,
        boot: BootId("b".into()),
        assignment: Some(("u".into(), 1)),
        stamp: 0,
        milestone: 0,
        phases: vec![phase],
        blank: vec![],
        uncentered: vec![1],
        writing: vec![],
        written: [Stage::Whole, Stage::Open, Stage::Part, Stage::Close].map(|stage| Writing { output: 0, stage }).to_vec(),
        failure: failure(),
        last_error: failure(),
        peak_rss_bytes: 0,
        vitals: Some(Vitals::default()),
    };
    let (sent, described) = (serde_json::to_value(progress).unwrap(), a_servers_progress());
    assert_eq!(names(&sent), names(&described["properties"]));
    assert_eq!(names(&sent["phases"][0]), names(&described["properties"]["phases"]["items"]["properties"]));
    let written = &described["properties"]["written"]["items"]["properties"];
    for sent in sent["written"].as_array().unwrap() {
        assert_eq!(names(sent), names(written));
        assert!(written["stage"]["enum"].as_array().unwrap().contains(&sent["stage"]), "{sent}");
    }
    let vitals = &described["properties"]["vitals"]["properties"];
    assert_eq!(names(&sent["vitals"]), names(vitals));
    let waits = serde_json::to_value([Wait::Source, Wait::Peers, Wait::Memory, Wait::Store]).unwrap();
    assert_eq!(vitals["waits"]["items"]["enum"], waits);
    assert_eq!(names(&sent["trouble"]), names(&described["properties"]["trouble"]["properties"]));
}

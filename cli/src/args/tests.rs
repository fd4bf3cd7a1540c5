use super::*;
use clap::CommandFactory as _;

#[test]
fn every_visible_verb_has_a_summary_and_an_example() {
    let mut cli = Cli::command();
    cli.build();
    let verbs: Vec<_> = cli.get_subcommands_mut().filter(|verb| !verb.is_hide_set() && verb.get_name() != "help").collect();
    assert_eq!(verbs.len(), 12);
    for verb in verbs {
        let name = verb.get_name().to_owned();
        let help = verb.render_long_help().to_string();
        assert!(verb.get_about().is_some_and(|about| !about.to_string().ends_with('.')), "{name}");
        assert!(help.contains("Example") && help.contains("arrayjob "), "{help}");
    }
}

#[test]
fn serve_is_run_with_serve() {
    let serve = Serve { file: "job.yaml".into(), servers: Some(3), progress: ProgressKind::Json };
    let run = Run::from(serve);
    assert!(run.serve && run.out.is_none() && run.save.is_empty() && run.memory.is_none());
    assert_eq!((run.file, run.servers, run.progress), ("job.yaml".into(), Some(3), ProgressKind::Json));
}

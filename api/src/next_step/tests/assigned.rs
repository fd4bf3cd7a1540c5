//! Decisions of a fleet whose servers all run.

use super::*;

/// A fleet whose servers all run and have the current assignment.
fn assigned(job: &Job, plan: &Plan) -> World {
    let mut world = World::new();
    for _ in 0..10 {
        match next_step(job, plan, &world.observed) {
            Step::Wait => break,
            step => world.carry_out(&step),
        }
        if world.observed.servers.iter().any(|seen| matches!(seen, Seen::Starting)) {
            world.work();
        }
    }
    world
}

#[test]
fn consecutive_outputs_begin_on_consecutive_servers() {
    let mut job = job();
    let file = job.outputs[1].clone();
    job.outputs = (0..5).map(|number| Output { url: format!("file:///p{number}.npy"), ..file.clone() }).collect();
    let plan = plan(&job);
    let mut world = assigned(&job, &plan);
    let writes = (0..100).find_map(|_| {
        let step = next_step(&job, &plan, &world.observed);
        world.carry_out(&step);
        world.work();
        if let Step::Write(writes) = step { Some(writes) } else { None }
    });
    let servers: Vec<usize> = writes.unwrap().iter().map(|(id, _)| id.0).collect();
    assert_eq!(servers, [0, 1, 2, 0, 1]);
}

#[test]
fn the_progress_of_an_earlier_generation_starts_no_exchange() {
    let mut job = job();
    let plan = Plan { overlap: false, ..plan(&job) };
    let mut world = assigned(&job, &plan);
    (0..10).for_each(|_| world.work());
    assert!(world.observed.progress().all(|(_, progress)| progress.complete_through(Phase::Recenter)));
    let goal = |job: &Job| match next_step(job, &plan, &world.observed) {
        Step::Assign(_, assignment) => assignment.goal,
        step => panic!("{step:?}"),
    };
    assert_eq!(goal(&job), Phase::Fft);
    job.generation += 1;
    assert_eq!(goal(&job), Phase::Recenter);
}

//! `arrayjob plan`: the memory, network bytes and work of each server, before any server starts.

use crate::args::Plan;
use crate::console::print;
use crate::error::Error;
use crate::{budget, manifest};
use api::plan::Allowance;
use operator::turn::prepare;
use operator::validate::Platform;

/// Prints the plan of a manifest.
///
/// # Errors
/// The manifest is invalid, its source is not readable, or the job does not fit.
pub async fn plan(args: Plan) -> Result<(), Error> {
    let mut manifest = manifest::read(&args.file)?;
    manifest::set_servers(&mut manifest, args.servers);
    manifest::complete(&args.file, &mut manifest).await?;
    let mut budget = budget::here();
    if let Some(memory) = &args.memory {
        budget.memory = Allowance::PerServer(budget::parse(memory)?);
    }
    let (_, plan) = prepare(&manifest, &budget, Platform::Local).map_err(|source| Error::Invalid { path: args.file.clone(), source })?;
    print(plan.to_string().as_bytes())
}

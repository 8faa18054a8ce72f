//! berth's own configuration brought to a node where it is installed, and nothing else: no program, no handler and no line
//! of the engine's configuration is put back by it, and the engine needs no restart.

use super::apply::{begin, clean, entered, rolled_back, write_record};
use super::parts::{Part, outside};
use super::record::State;
use super::site::{self, Site};
use super::work::Work;
use super::{InstallError, Order, Told, Wanted, lock, plan, render};
use crate::engine::Host;

/// Brings the configuration of `wanted` to the host as it is now.
///
/// # Errors
/// What stood in the way, above all that no install has ended well there. The configuration before stays then.
pub fn bring(order: &Order, wanted: &Wanted) -> Result<Told, InstallError> {
    let host = Host::new(&order.host_root)?;
    let lock = lock::take(&host, "berth install")?;
    let told = put(&host, order, wanted);
    let removed = lock.remove();
    let told = told?;
    removed?;
    Ok(told)
}

fn put(host: &Host, order: &Order, wanted: &Wanted) -> Result<Told, InstallError> {
    let installed = site::record(host)?.filter(|record| record.state == State::Installed);
    let mut record = installed.ok_or(InstallError::NotInstalled)?;
    let site = Site::read(host, &order.choice)?;
    site::check_engine(&site.engine, &record)?;
    let parts = plan::settings(host, &site, wanted, &record)?;
    if parts.is_empty() {
        return Ok(Told::default());
    }
    clean(host, None, &parts)?;
    record.state = State::Begun;
    record.items = entered(&record.items, &parts);
    let (mut work, mut books) = (Work::default(), Work::default());
    let placed = begin(host, &mut books, &record).and_then(|()| place(host, &parts, &mut work));
    record.end();
    if let Err(error) = placed.and_then(|()| write_record(host, &record)) {
        let left = work.roll_back().into_iter().chain(books.roll_back()).collect();
        return Err(rolled_back(error, left));
    }
    let mut told = render::brought(&parts);
    let left = [work.finish(), books.finish()].into_iter().filter_map(Result::err);
    told.remarks.extend(left.map(|error| crate::exit::chain(&error)));
    Ok(told)
}

fn place(host: &Host, parts: &[Part], work: &mut Work) -> Result<(), InstallError> {
    for part in parts {
        part.check_unchanged(host)?;
        work.stage(&outside(host, &part.path), &part.content)?;
    }
    Ok(work.commit()?)
}

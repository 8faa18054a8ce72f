//! The metrics in the text formats of Prometheus: the table of this process, the totals of the interposers, and what is
//! looked at when somebody asks.

use super::vitals;
use crate::apply::Keeper;
use crate::door::interpose::COUNTS;
use crate::exit::chain;
use crate::logging::Line;
use crate::metrics::table::{BUILD, CREATE, RECORDS, RECORDS_OTHER_CONFIG, TIMINGS};
use crate::metrics::{BOUNDS, Doors, FAMILIES, Family, Kind, Totals};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use std::fmt::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How old the count of records may be: it reads every one of them.
const RECORDS_AGE: Duration = Duration::from_secs(5);

/// How long the totals of the interposers are waited for.
const PATIENCE: Duration = Duration::from_millis(20);

/// The two formats that scrapers read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// The text format of Prometheus, version 0.0.4.
    Prometheus,
}

impl Format {
    /// The one that a client prefers; without a word from it, the older one.
    pub(super) fn accepted(accepts: &str) -> Self {
        if accepts.contains("application/openmetrics-text") { Self::OpenMetrics } else { Self::Prometheus }
    }

    pub(super) fn media(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// What is looked at when somebody asks.
#[derive(Debug)]
pub(super) struct Gauges {
    keeper: Keeper,
    counted: Option<Instant>,
    totals: Arc<Totals>,
    complained: Option<String>,
}

impl Gauges {
    pub(super) fn new(keeper: Keeper) -> Self {
        Self { keeper, counted: None, totals: Arc::default(), complained: None }
    }

    /// Looks, and sets the gauges. Reads files. `config`: the hash of the configuration in force, if one is.
    pub(super) fn refresh(&mut self, config: Option<u64>) {
        BUILD.set(&[crate::VERSION, crate::COMMIT], 1);
        vitals::refresh();
        let read = Totals::read(&self.keeper.ledger.dir().join(COUNTS), PATIENCE).map_err(|error| chain(&error));
        // Those of before serve where interposers are at it all the time.
        let read = read.map(|totals| totals.into_iter().for_each(|totals| self.totals = Arc::new(totals)));
        let recent = self.counted.is_some_and(|at| at.elapsed() < RECORDS_AGE);
        let counted = if recent { Ok(()) } else { self.count_records(config) };
        match read.and(counted) {
            Ok(()) => self.complained = None,
            Err(error) if self.complained.as_ref() == Some(&error) => {}
            Err(error) => {
                log::warn!("{}", Line::message("metrics are not complete").with("error", &error));
                self.complained = Some(error);
            }
        }
    }

    fn count_records(&mut self, config: Option<u64>) -> Result<(), String> {
        let records = self.keeper.ledger.list().map_err(|error| chain(&error))?;
        let other = config.map_or(0, |hash| records.under_other_config(hash));
        RECORDS_OTHER_CONFIG.set(&[], other as u64);
        let counts = self.keeper.count_by_state(records).map_err(|error| chain(&error))?;
        for series in RECORDS.series {
            let count = series.values.first().and_then(|state| counts.get(state));
            RECORDS.set(series.values, count.copied().unwrap_or_default());
        }
        self.counted = Some(Instant::now());
        Ok(())
    }

    pub(super) fn totals(&self) -> Arc<Totals> {
        Arc::clone(&self.totals)
    }
}

/// All metrics as text.
pub(super) fn render(format: Format, interposers: Arc<Totals>) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Table(interposers)));
    let mut text = String::new();
    encode(&mut text, &registry)?;
    match format {
        Format::OpenMetrics => Ok(text),
        Format::Prometheus => older(&text),
    }
}

/// OpenMetrics in the older format, where a counter is called as its only series is, and nothing marks the end.
fn older(text: &str) -> Result<String, fmt::Error> {
    let mut out = String::with_capacity(text.len());
    let is_counter = |name: &str| FAMILIES.iter().any(|family| family.name.strip_suffix("_total") == Some(name));
    for line in text.lines().filter(|line| *line != "# EOF") {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some(what), Some(name), Some(rest)) if is_counter(name) => {
                writeln!(out, "# {what} {name}_total {rest}")?;
            }
            _ => writeln!(out, "{line}")?,
        }
    }
    Ok(out)
}

/// The table, with the totals of the interposers.
#[derive(Debug)]
struct Table(Arc<Totals>);

/// Who counted.
const NRI: &str = "nri";
const INTERPOSE: &str = "interpose";

impl Collector for Table {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for family in FAMILIES {
            let (name, kind) = match family.kind {
                Kind::Gauge => (family.name, MetricType::Gauge),
                Kind::Histogram => (family.name, MetricType::Histogram),
                Kind::Counter | Kind::CounterOfMicros => (family.name.trim_end_matches("_total"), MetricType::Counter),
            };
            let encoder = encoder.encode_descriptor(name, family.help, None, kind)?;
            match family.kind {
                Kind::Histogram => self.timings(encoder, family)?,
                _ => self.series(encoder, family)?,
            }
        }
        Ok(())
    }
}

impl Table {
    fn series(&self, mut encoder: MetricEncoder<'_>, family: &Family) -> fmt::Result {
        for series in family.series {
            match family.doors {
                Doors::Daemon => one(&mut encoder, family, labels(family, None, series.values), series.get())?,
                Doors::All => {
                    for (door, number) in [(NRI, series.get()), (INTERPOSE, self.0.of(family, series.values))] {
                        if is_of(door, family, series.values) {
                            one(&mut encoder, family, labels(family, Some(door), series.values), number)?;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn timings(&self, mut encoder: MetricEncoder<'_>, family: &Family) -> fmt::Result {
        for timing in &TIMINGS {
            let own = (timing.buckets(), timing.micros());
            for (door, (buckets, micros)) in [(NRI, own), (INTERPOSE, self.0.timing(timing.values))] {
                let count: u64 = buckets.iter().sum();
                if count == 0 || !is_of(door, family, timing.values) {
                    continue;
                }
                let bounds = BOUNDS.iter().map(|bound| seconds(*bound)).chain([f64::INFINITY]);
                let buckets: Vec<_> = bounds.zip(buckets).collect();
                let labels = labels(family, Some(door), timing.values);
                let mut one = encoder.encode_family(&labels)?;
                one.encode_histogram::<NoLabelSet>(seconds(micros), count, &buckets, None)?;
            }
        }
        Ok(())
    }
}

fn one(encoder: &mut MetricEncoder<'_>, family: &Family, labels: Labels<'_>, number: u64) -> fmt::Result {
    if labels.is_empty() {
        return write_number(encoder, family.kind, number);
    }
    write_number(&mut encoder.encode_family(&labels)?, family.kind, number)
}

fn write_number(encoder: &mut MetricEncoder<'_>, kind: Kind, number: u64) -> fmt::Result {
    match kind {
        Kind::Gauge => encoder.encode_gauge(&number),
        Kind::CounterOfMicros => encoder.encode_counter::<NoLabelSet, _, u64>(&seconds(number), None),
        _ => encoder.encode_counter::<NoLabelSet, _, u64>(&number, None),
    }
}

type Labels<'a> = Vec<(&'a str, &'a str)>;

fn labels<'a>(family: &Family, door: Option<&'a str>, values: &'a [&'a str]) -> Labels<'a> {
    let own = family.labels.iter().copied().zip(values.iter().copied());
    door.map(|door| ("door", door)).into_iter().chain(own).collect()
}

/// Whether `door` can move the series at all: each has events of its own.
fn is_of(door: &str, family: &Family, values: &[&str]) -> bool {
    let by_event = family.labels.first() == Some(&"event");
    !by_event || (values.first() == Some(&CREATE)) == (door == INTERPOSE)
}

#[allow(clippy::cast_precision_loss, reason = "three hundred years of microseconds fit")]
fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_called_as_each_format_wants_it() {
        let new = render(Format::OpenMetrics, Arc::default()).expect("text");
        assert!(new.contains("# TYPE berth_pins_healed counter\nberth_pins_healed_total{door=\"nri\"} "), "{new}");
        assert!(new.ends_with("# EOF\n"));
        let old = render(Format::Prometheus, Arc::default()).expect("text");
        assert!(
            old.contains("# TYPE berth_pins_healed_total counter\nberth_pins_healed_total{door=\"nri\"} "),
            "{old}"
        );
        assert!(!old.contains("# EOF"));
    }

    #[test]
    fn every_family_is_described_and_interposers_show_no_event_of_the_runtime() {
        let text = render(Format::Prometheus, Arc::default()).expect("text");
        for family in FAMILIES {
            assert!(text.contains(&format!("# HELP {} {}\n", family.name, family.help)), "{}", family.name);
        }
        assert!(text.contains("berth_requests_total{door=\"interpose\",event=\"Create\",result=\"ok\"} "));
        assert!(!text.contains("door=\"interpose\",event=\"CreateContainer\""));
        assert!(!text.contains("door=\"nri\",event=\"Create\""));
    }
}

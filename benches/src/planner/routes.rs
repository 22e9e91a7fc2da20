//! Questions about routes, without reports and beside them, turn by turn.
//!
//! Reports are work for the machine, and so is making them. How much of what a question waits is
//! that, and not the table and its locks, a third span of each turn tells: as many reports, by as
//! many stores, to another placement in this process, which nobody asks.
//!
//! Asked in two ways: by a call of the service in a thread of its own, which shares nothing with
//! reports but memory and locks; and over gRPC on the thread that serves reports too, as clients
//! do.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use placement::Service;
use proto::pdpb;
use proto::pdpb::pd_client::PdClient;
use proto::pdpb::pd_server::Pd;
use tokio::runtime::{Builder, Runtime};
use tonic::Request;
use tonic::transport::{Channel, Endpoint};

use super::Settings;
use super::cluster::{key, scattered};
use super::member::Placement;
use super::reporter::{Dial, Reporter};
use crate::meters::quantile;
use crate::report::Better;
use crate::table::Row;

/// Between two questions of an asker.
const PAUSE: Duration = Duration::from_micros(300);
/// Regions of a scan.
const SCANNED: i32 = 64;
/// The quantiles that are told, in thousandths.
const QUANTILES: [(usize, &str); 2] = [(500, "p50"), (990, "p99")];

#[derive(Clone, Copy)]
enum Question {
    Get,
    Scan,
}

/// Who answers.
enum Asked {
    Called(Service),
    Rpc(PdClient<Channel>),
}

/// Latencies in microseconds: of each half of a turn, of each kind of question.
type Latencies = Vec<Vec<f64>>;

pub(super) fn run(settings: &Settings) -> Vec<Row> {
    let (placement, dial) = reported(settings);
    let (_other, elsewhere) = reported(settings);

    let asking = runtime();
    let client = asking.block_on(async { PdClient::new(connect(&placement)) });
    let mut askers = [Asked::Called(placement.service.clone()), Asked::Rpc(client)];
    wait_until_known(&asking, settings, &mut askers[1]);

    let kinds = ["call/get", "call/scan", "grpc/get", "grpc/scan"];
    let [mut quiet, mut busy, mut beside]: [Vec<Latencies>; 3] = Default::default();
    let (mut rates, mut costs) = (Vec::new(), Vec::new());
    for _ in 0..settings.turns {
        let cpu = |asking: &Runtime| asking.block_on(placement.serving_cpu());
        let mut span = |dials: [(&Dial, u64); 2], counted: &Dial| {
            for (dial, per_second) in dials {
                dial.per_second.store(per_second, Ordering::Relaxed);
            }
            // What was on its way of the span before does not count.
            std::thread::sleep(Duration::from_millis(300));
            let (used, count, begun) =
                (cpu(&asking), counted.told.load(Ordering::Relaxed), Instant::now());
            let latencies = measure(&asking, settings, &mut askers);
            let told = counted.told.load(Ordering::Relaxed) - count;
            ((cpu(&asking) - used).as_secs_f64(), told as f64, begun.elapsed(), latencies)
        };
        let wanted = settings.reports_per_second;
        let (used_quiet, _, span_quiet, latencies) = span([(&dial, 0), (&elsewhere, 0)], &dial);
        quiet.push(latencies);
        let (used, told, took, latencies) = span([(&dial, wanted), (&elsewhere, 0)], &dial);
        busy.push(latencies);
        let rate = taken(told, took, wanted);
        let (_, other, other_took, latencies) =
            span([(&dial, 0), (&elsewhere, wanted)], &elsewhere);
        beside.push(latencies);
        taken(other, other_took, wanted);
        rates.push(rate);
        let idle = used_quiet * took.as_secs_f64() / span_quiet.as_secs_f64();
        costs.push((used - idle) * 1e6 / told);
    }
    let mut rows = vec![
        alone("routes/reports-taken", "1/s", Better::Higher, rates),
        alone("routes/serving-cpu-per-report", "us", Better::Lower, costs),
    ];
    for (kind, name) in kinds.into_iter().enumerate() {
        for (per_mille, quantile_name) in QUANTILES {
            let of = |turns: &[Latencies]| -> Vec<f64> {
                turns.iter().map(|turn| quantile(&turn[kind], per_mille)).collect()
            };
            let row =
                |name, peer| Row { name, unit: "us", better: Better::Lower, ours: of(&busy), peer };
            let name = format!("routes/{name}/{quantile_name}");
            rows.push(row(format!("{name}/elsewhere"), of(&beside)));
            rows.push(row(name, of(&quiet)));
        }
    }
    rows
}

/// A placement to which stores report, as fast as the dial says.
fn reported(settings: &Settings) -> (Placement, Arc<Dial>) {
    let placement = Placement::start();
    let (dial, reporting) = (Arc::new(Dial::default()), runtime());
    let reporter = reporting.block_on(Reporter::start(settings, || connect(&placement)));
    let told = Arc::clone(&dial);
    std::thread::spawn(move || reporting.block_on(reporter.run(told)));
    (placement, dial)
}

fn connect(placement: &Placement) -> Channel {
    let url = format!("http://{}", placement.address);
    Endpoint::from_shared(url).expect("a URL").connect_lazy()
}

/// Reports a second, which must be about as many as were wanted.
fn taken(told: f64, took: Duration, wanted: u64) -> f64 {
    let (rate, wanted) = (told / took.as_secs_f64(), wanted as f64);
    assert!(rate >= 0.9 * wanted, "invalid: {rate:.0} reports a second, and not {wanted:.0}");
    rate
}

fn alone(name: &str, unit: &'static str, better: Better, ours: Vec<f64>) -> Row {
    Row { name: name.to_owned(), unit, better, ours, peer: Vec::new() }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// Asks in turn, in each way each kind, for the span of half a turn. Sorted.
fn measure(asking: &Runtime, settings: &Settings, askers: &mut [Asked; 2]) -> Latencies {
    let mut latencies: Latencies = vec![Vec::new(); askers.len() * 2];
    let begun = Instant::now();
    for at in scattered(settings) {
        if begun.elapsed() >= settings.span {
            break;
        }
        for (way, asked) in askers.iter_mut().enumerate() {
            for (kind, question) in [Question::Get, Question::Scan].into_iter().enumerate() {
                std::thread::sleep(PAUSE);
                let from = Instant::now();
                let found = asking.block_on(ask(asked, question, at));
                latencies[way * 2 + kind].push(from.elapsed().as_secs_f64() * 1e6);
                assert!(found, "region {at} is not known");
            }
        }
    }
    for of in &mut latencies {
        of.sort_by(f64::total_cmp);
    }
    latencies
}

async fn ask(asked: &mut Asked, question: Question, at: u64) -> bool {
    match question {
        Question::Get => {
            let request = pdpb::GetRegionRequest {
                region_key: key(at).into(),
                ..pdpb::GetRegionRequest::default()
            };
            let answer = match asked {
                Asked::Called(service) => service.get_region(Request::new(request)).await,
                Asked::Rpc(client) => client.get_region(request).await,
            };
            answer.expect("an answer").into_inner().region.is_some()
        }
        Question::Scan => {
            let request = pdpb::ScanRegionsRequest {
                start_key: key(at).into(),
                limit: SCANNED,
                ..pdpb::ScanRegionsRequest::default()
            };
            let answer = match asked {
                Asked::Called(service) => service.scan_regions(Request::new(request)).await,
                Asked::Rpc(client) => client.scan_regions(request).await,
            };
            !answer.expect("an answer").into_inner().regions.is_empty()
        }
    }
}

/// Until the last region that each store reported is known, so all are.
fn wait_until_known(asking: &Runtime, settings: &Settings, asked: &mut Asked) {
    let told = settings.regions / settings.stores * settings.stores;
    while (told - settings.stores..told).any(|at| !asking.block_on(ask(asked, Question::Get, at))) {
        std::thread::sleep(Duration::from_millis(50));
    }
}

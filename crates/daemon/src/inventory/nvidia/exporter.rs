//! What NVIDIA's dcgm-exporter tells, where a lab runs it: how busy the engines of each card and slice were, also of cards
//! before Hopper, of whose slices the driver itself says nothing.
//!
//! How long a time its figures are of is the exporter's own affair. So they can show that a slice works, and never that it
//! does not: what is silent, old or not understood is left out.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// How often it is asked.
const EVERY: Duration = Duration::from_secs(10);
/// How long an answer may take.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(2);
/// The largest answer: a kilobyte for each card and metric would be much.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How old what it told may be.
const TOLD_FOR: Duration = Duration::from_secs(25);
/// The share of time in which an engine was active, by card and GPU instance.
const METRIC: &str = "DCGM_FI_PROF_GR_ENGINE_ACTIVE";
/// Less than this is what the counters show of a slice on which nothing runs.
const NOISE: f64 = 0.005;

/// A card's UUID, and the GPU instance of a slice.
type Place = (String, Option<u32>);

/// What the exporter told last.
#[derive(Debug)]
pub(super) struct Exporter {
    told: Arc<Mutex<Option<Told>>>,
}

#[derive(Debug)]
struct Told {
    at: Instant,
    /// In percent.
    busy: BTreeMap<Place, u32>,
}

impl Exporter {
    /// Asks it from now on, until this is dropped.
    pub(super) fn follow(address: SocketAddr) -> Self {
        let told = Arc::new(Mutex::new(None));
        tokio::spawn(ask_again_and_again(address, Arc::downgrade(&told)));
        Self { told }
    }

    /// How busy a card or a slice was, in percent; `None` where it did not say so of late.
    pub(super) fn busy(&self, card: &str, instance: Option<u32>) -> Option<u32> {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let told = told.as_ref().filter(|told| told.at.elapsed() < TOLD_FOR)?;
        told.busy.get(&(card.to_owned(), instance)).copied()
    }
}

async fn ask_again_and_again(address: SocketAddr, told: Weak<Mutex<Option<Told>>>) {
    let mut silent = false;
    let mut every = tokio::time::interval(EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        let answer = tokio::time::timeout(ANSWER_TIME_MAX, ask(address)).await;
        let Some(told) = told.upgrade() else { return };
        match answer.unwrap_or_else(|_| Err(anyhow::anyhow!("no answer in {} s", ANSWER_TIME_MAX.as_secs())))
        {
            Ok(text) => {
                let new = Told { at: Instant::now(), busy: read(&text) };
                if std::mem::take(&mut silent) {
                    tracing::info!(%address, "the DCGM exporter answers again");
                }
                *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(new);
            }
            // Once, not every ten seconds.
            Err(error) if !std::mem::replace(&mut silent, true) => {
                tracing::warn!(%address, %error, "the DCGM exporter does not answer; its figures are done without");
            }
            Err(_) => {}
        }
    }
}

async fn ask(address: SocketAddr) -> anyhow::Result<String> {
    let stream = TcpStream::connect(address).await?;
    let (mut send, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // It ends with this question, also where nobody waits for the answer any more.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let request = Request::get("/metrics").header(HOST, address.to_string()).body(Empty::<Bytes>::new())?;
    let answer = async {
        let response = send.send_request(request).await?;
        anyhow::ensure!(response.status() == StatusCode::OK, "it answers {}", response.status());
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        Ok(body.map_err(|error| anyhow::anyhow!(error))?.to_bytes())
    };
    let answer: anyhow::Result<Bytes> = answer.await;
    Ok(String::from_utf8(answer?.to_vec())?)
}

/// The shares in Prometheus's text format, in percent; of a place that is named twice the higher.
fn read(text: &str) -> BTreeMap<Place, u32> {
    let mut busy: BTreeMap<Place, u32> = BTreeMap::new();
    for (place, percent) in text.lines().filter_map(sample) {
        let known = busy.entry(place).or_default();
        *known = percent.max(*known);
    }
    busy
}

/// `METRIC{gpu="0",UUID="GPU-…",GPU_I_ID="3",…} 0.25 [time]`.
fn sample(line: &str) -> Option<(Place, u32)> {
    let (labels, value) = line.strip_prefix(METRIC)?.strip_prefix('{')?.rsplit_once('}')?;
    let share: f64 = value.split_whitespace().next()?.parse().ok()?;
    let card = label(labels, "UUID")?;
    let instance = match label(labels, "GPU_I_ID") {
        None | Some("") => None,
        Some(number) => Some(number.parse().ok()?),
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 101")]
    let percent = (0.0..=1.01).contains(&share).then(|| (share * 100.0).ceil() as u32)?;
    Some(((card.to_owned(), instance), if share < NOISE { 0 } else { percent.clamp(1, 100) }))
}

/// The value of a label. No value that is looked for has a quotation mark in it.
fn label<'l>(labels: &'l str, name: &str) -> Option<&'l str> {
    let begin = format!("{name}=\"");
    let at = labels.match_indices(&begin).find(|(at, _)| *at == 0 || labels[..*at].ends_with(','))?.0;
    labels[at + begin.len()..].split('"').next()
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    const TEXT: &str = r#"# HELP DCGM_FI_PROF_GR_ENGINE_ACTIVE Ratio of time the graphics engine is active.
# TYPE DCGM_FI_PROF_GR_ENGINE_ACTIVE gauge
DCGM_FI_PROF_GR_ENGINE_ACTIVE{gpu="0",UUID="GPU-a",device="nvidia0",GPU_I_PROFILE="3g.40gb",GPU_I_ID="1"} 0.254
DCGM_FI_PROF_GR_ENGINE_ACTIVE{gpu="0",UUID="GPU-a",device="nvidia0",GPU_I_PROFILE="3g.40gb",GPU_I_ID="2"} 0.0049
DCGM_FI_PROF_GR_ENGINE_ACTIVE{gpu="1",UUID="GPU-b",device="nvidia1",Hostname="a,UUID=x"} 1.0 1795281139727
DCGM_FI_PROF_GR_ENGINE_ACTIVE{gpu="2",UUID="GPU-c"} NaN
DCGM_FI_PROF_GR_ENGINE_ACTIVE{gpu="3",UUID="GPU-d"} 9.2e18
DCGM_FI_PROF_GR_ENGINE_ACTIVE{gpu="4",XUUID="GPU-e"} 0.5
DCGM_FI_PROF_GR_ENGINE_ACTIVE_OLD{UUID="GPU-f"} 0.5
DCGM_FI_DEV_GPU_UTIL{gpu="1",UUID="GPU-b"} 97
"#;

    fn place(card: &str, instance: Option<u32>) -> Place {
        (card.to_owned(), instance)
    }

    #[test]
    fn shares_by_card_and_instance_and_no_nonsense() {
        let expected =
            [(place("GPU-a", Some(1)), 26), (place("GPU-a", Some(2)), 0), (place("GPU-b", None), 100)];
        assert_eq!(read(TEXT), BTreeMap::from(expected));
    }

    /// Answers every connection with the same, in HTTP.
    async fn exporter(status: &'static str, text: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = [0; 1024];
                let read = stream.read(&mut head).await.unwrap();
                assert!(head[..read].starts_with(b"GET /metrics HTTP/1.1\r\n"));
                let length = text.len();
                let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{text}");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        address
    }

    #[tokio::test]
    async fn what_it_tells_is_known() {
        let exporter = Exporter::follow(exporter("200 OK", TEXT).await);
        while exporter.busy("GPU-a", Some(1)).is_none() {
            tokio::task::yield_now().await;
        }
        assert_eq!(exporter.busy("GPU-a", Some(1)), Some(26));
        assert_eq!(exporter.busy("GPU-b", None), Some(100));
        assert_eq!(exporter.busy("GPU-b", Some(1)), None, "another instance");
    }

    #[tokio::test]
    async fn an_error_is_no_answer() {
        assert!(ask(exporter("500 Internal Server Error", TEXT).await).await.is_err());
        let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        assert!(ask(nobody).await.is_err());
    }
}

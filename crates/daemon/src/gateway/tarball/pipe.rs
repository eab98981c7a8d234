//! The way of an archive: from the client's stream past a judge on a thread of its own into the Engine's stream.
//!
//! The thread sees headers and what a judge asked for; long contents go by it. This file must never let one user's slow
//! uploads take everybody's threads, and never end the Engine's stream as if all were well where it is not.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;
use hyper::body::Frame;
use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep};

use super::super::http::{Body, BoxError, Refusal, boxed};
use super::super::unread;
use super::Judge;
use super::carry::{self, carry};

/// Words of the thread that wait before it waits.
const WORDS_MAX: usize = 4;
/// How long a client may send nothing.
const SILENCE_MAX: Duration = Duration::from_secs(120);
/// Archives that one user may send at once.
const ARCHIVES_PER_USER_MAX: usize = 8;
const STACK_BYTES: usize = 512 * 1024;
/// What is passed on goes so much at a time: a client's pieces are small, and each wakes the Engine.
const PASSED_AT_ONCE_BYTES: usize = 128 * 1024;

/// An archive behind a judge.
#[derive(Debug)]
pub(in super::super) struct Filtered {
    /// What the Engine is sent; it breaks off where the judge says no.
    pub(in super::super) body: Body,
    /// Why it broke off, if it did.
    pub(in super::super) refusal: Arc<OnceLock<Refusal>>,
}

static ACTIVE: Mutex<BTreeMap<u32, usize>> = Mutex::new(BTreeMap::new());

/// One of a user's archives under way.
struct Turn(u32);

impl Turn {
    fn take(uid: u32) -> Result<Self, Refusal> {
        let mut active = ACTIVE.lock().unwrap_or_else(PoisonError::into_inner);
        let count = active.entry(uid).or_insert(0);
        if *count >= ARCHIVES_PER_USER_MAX {
            return Err(Refusal::new(
                StatusCode::TOO_MANY_REQUESTS,
                format!(
                    "{ARCHIVES_PER_USER_MAX} uploads of yours are under way already; wait for one to end"
                ),
            ));
        }
        *count += 1;
        Ok(Self(uid))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut active = ACTIVE.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = active.get_mut(&self.0) {
            *count -= 1;
            if *count == 0 {
                active.remove(&self.0);
            }
        }
    }
}

/// What the thread says to whoever carries the bytes.
#[derive(Debug)]
pub(super) enum Word {
    /// The next piece of the client's is wanted.
    More,
    /// This goes to the Engine.
    Written(Bytes),
    /// So many of the client's next bytes go to the Engine as they come.
    Pass(u64),
    /// The archive was refused.
    Refused,
    /// The archive was judged to its end.
    Done,
}

/// A client's body, as it comes.
pub(in super::super) trait Sent:
    hyper::body::Body<Data = Bytes> + Send + Sync + Unpin + 'static
{
}

impl<B: hyper::body::Body<Data = Bytes> + Send + Sync + Unpin + 'static> Sent for B {}

/// Puts a judge between a client's archive and the Engine.
///
/// # Errors
/// When the user sends too many archives at once, or no thread can be had.
pub(in super::super) fn filter(uid: u32, body: impl Sent, judge: impl Judge) -> Result<Filtered, Refusal> {
    let turn = Turn::take(uid)?;
    // Never more than the one that was asked for.
    let (to_judge, pieces) = mpsc::channel(1);
    let (to_carrier, words) = mpsc::channel(WORDS_MAX);
    let refusal = Arc::new(OnceLock::new());
    let told = refusal.clone();
    std::thread::Builder::new()
        .name("ds01-archive".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(move || {
            let _turn = turn;
            work(pieces, &to_carrier, judge, &told);
        })
        .map_err(|_| {
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "DS01 is too busy for an upload; try again")
        })?;
    let judged = Judged {
        client: Some(body),
        rest: Bytes::new(),
        words,
        to_judge: Some(to_judge),
        is_asked: false,
        passing: 0,
        passed: VecDeque::new(),
        gathered: 0,
        broken: None,
        silence: Box::pin(tokio::time::sleep(SILENCE_MAX)),
    };
    Ok(Filtered { body: boxed(judged), refusal })
}

/// What the thread does. Without its last word the Engine's stream ends in an error.
fn work(
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    words: &mpsc::Sender<Word>,
    mut judge: impl Judge,
    told: &OnceLock<Refusal>,
) {
    let (client, engine) = (carry::Client::new(words.clone(), pieces), carry::Engine::new(words.clone()));
    let last = match carry(client, engine, &mut judge) {
        Ok(()) => Word::Done,
        // The Engine has ended the upload: what it says of it is the answer.
        Err(_) if words.is_closed() => return,
        Err(error) => {
            let refusal = match error.downcast::<Refusal>() {
                Ok(refusal) => refusal,
                Err(error) => Refusal::bad(format!("the archive cannot be read: {error}")),
            };
            let _ = told.set(refusal);
            Word::Refused
        }
    };
    // It may have ended just now.
    let _ = words.blocking_send(last);
}

/// What the judge has let pass, as the Engine's stream. Whoever reads it moves everything.
struct Judged<B: Sent> {
    client: Option<B>,
    /// Of the client's last piece, what was not passed on.
    rest: Bytes,
    words: mpsc::Receiver<Word>,
    /// Gone when the client has sent everything.
    to_judge: Option<mpsc::Sender<io::Result<Bytes>>>,
    is_asked: bool,
    /// How many bytes are passed on without a word.
    passing: u64,
    /// What of it goes to the Engine next, and how much more was gathered for that.
    passed: VecDeque<Bytes>,
    gathered: usize,
    /// Why the passing broke off: told when the thread asks again.
    broken: Option<io::Error>,
    silence: Pin<Box<Sleep>>,
}

impl<B: Sent> Judged<B> {
    /// The client's next piece; none at the end.
    fn poll_client(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        if !self.rest.is_empty() {
            return Poll::Ready(Ok(Some(std::mem::take(&mut self.rest))));
        }
        loop {
            let Some(client) = &mut self.client else { return Poll::Ready(Ok(None)) };
            match Pin::new(client).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => {
                    let Some(piece) = frame.into_data().ok().filter(|piece| !piece.is_empty()) else {
                        continue;
                    };
                    self.silence.as_mut().reset(Instant::now() + SILENCE_MAX);
                    return Poll::Ready(Ok(Some(piece)));
                }
                Poll::Ready(Some(Err(_))) => {
                    self.client = None;
                    let refusal = Refusal::bad("the upload ended before it was complete");
                    return Poll::Ready(Err(io::Error::other(refusal)));
                }
                Poll::Ready(None) => self.client = None,
                Poll::Pending => {
                    ready!(self.silence.as_mut().poll(context));
                    let sentence =
                        format!("nothing came for {} s, so the upload was ended", SILENCE_MAX.as_secs());
                    let refusal = Refusal::new(StatusCode::REQUEST_TIMEOUT, sentence);
                    return Poll::Ready(Err(io::Error::other(refusal)));
                }
            }
        }
    }

    /// Gathers what is passed on, until it is worth a write or all there is.
    fn poll_passing(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while self.passing > 0 && self.gathered < PASSED_AT_ONCE_BYTES {
            let broken = match ready!(self.poll_client(context)) {
                Ok(Some(mut piece)) => {
                    let most = usize::try_from(self.passing).unwrap_or(usize::MAX);
                    if piece.len() > most {
                        self.rest = piece.split_off(most);
                    }
                    self.passing = self.passing.saturating_sub(piece.len() as u64);
                    self.gathered += piece.len();
                    self.passed.push_back(piece);
                    continue;
                }
                Ok(None) => carry::ends_within_a_file(),
                Err(error) => error,
            };
            self.passing = 0;
            self.broken = Some(broken);
        }
        self.gathered = 0;
        Poll::Ready(())
    }

    /// Gives the thread the piece that it asked for.
    fn poll_answer(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let piece = match self.broken.take() {
            Some(error) => Err(error),
            None => match ready!(self.poll_client(context)) {
                Ok(Some(piece)) => Ok(piece),
                Ok(None) => {
                    self.to_judge = None;
                    return Poll::Ready(());
                }
                Err(error) => Err(error),
            },
        };
        if let Some(to_judge) = &self.to_judge {
            // There is room: it asks for one at a time. Where it is gone, its last word is on the way.
            let _ = to_judge.try_send(piece);
        }
        Poll::Ready(())
    }
}

impl<B: Sent> hyper::body::Body for Judged<B> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        loop {
            if this.gathered == 0
                && let Some(piece) = this.passed.pop_front()
            {
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }
            if this.passing > 0 || this.gathered > 0 {
                ready!(this.poll_passing(context));
                continue;
            }
            if this.is_asked {
                ready!(this.poll_answer(context));
                this.is_asked = false;
            }
            match ready!(this.words.poll_recv(context)) {
                Some(Word::More) => this.is_asked = true,
                Some(Word::Written(piece)) => return Poll::Ready(Some(Ok(Frame::data(piece)))),
                Some(Word::Pass(bytes)) => this.passing = bytes,
                Some(Word::Done) => return Poll::Ready(None),
                Some(Word::Refused) | None => {
                    return Poll::Ready(Some(Err("the archive was refused".into())));
                }
            }
        }
    }
}

impl<B: Sent> Drop for Judged<B> {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            // Read and forgotten, so that a client that still sends hears why it was refused.
            unread::forget(client);
        }
    }
}

//! Takes contents apart into the pieces that were put and appended.

use rustc_hash::FxHashMap;

use crate::engines::{Cancellation, Span, Stopped};
use crate::event::Function;
use crate::history::Action;
use crate::model::Append;
use crate::value::{Value, ValueId};

/// No piece, no span.
pub(super) const NONE: u32 = u32::MAX;

/// The number of what the object begins with, be it empty or a piece.
pub(super) const INITIAL: u32 = 0;

/// Something that was put or appended, once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece {
    /// The span that did; [`NONE`] for the initial content.
    pub span: u32,
    /// Whether contents begin with it, rather than go on with it.
    pub is_base: bool,
    /// What it is.
    pub value: ValueId,
}

/// The pieces of an object.
pub(super) struct Pieces<'a> {
    pieces: Vec<Piece>,
    /// By span, the piece that it put or appended.
    by_span: Vec<u32>,
    /// Whether the object begins empty, so that contents can begin with an appended piece.
    pub begins_empty: bool,
    /// The pieces as texts, if they are.
    texts: Vec<&'a str>,
    finder: Finder<'a>,
}

/// Why there are no pieces.
pub(super) enum NoPieces {
    /// They cannot be told apart.
    Inexact(&'static str),
    /// The time is up.
    Stopped,
}

impl From<Stopped> for NoPieces {
    fn from(Stopped: Stopped) -> Self {
        Self::Stopped
    }
}

/// Finds the one piece that can stand at a place.
enum Finder<'a> {
    /// Texts in order, none of which begins with another.
    Texts(Vec<(&'a str, u32)>),
    /// The pieces to which items belong, all of which are different, with all items of bases.
    Items { by_item: FxHashMap<&'a Value, u32>, bases: FxHashMap<u32, &'a [Value]> },
}

impl<'a> Pieces<'a> {
    /// The pieces; or what stands in the way of telling them apart.
    pub(super) fn of(
        model: &'a Append<'_>,
        spans: &[Span],
        cancellation: &Cancellation<'_>,
    ) -> Result<Self, NoPieces> {
        let value = model.initial_value();
        let mut pieces = vec![Piece { span: NONE, is_base: true, value }];
        let mut by_span = vec![NONE; spans.len()];
        for (place, span) in (0_u32..).zip(spans) {
            cancellation.step()?;
            let (is_base, value) = match span.call.action {
                Action::Delete => return Err(NoPieces::Inexact("a delete")),
                Action::Write(value) => (true, value),
                Action::Other(Function::Append, value) => (false, value),
                _ => continue,
            };
            if is_empty(model.value(value)) {
                return Err(NoPieces::Inexact("an empty piece"));
            }
            by_span[place as usize] = pieces.len() as u32;
            pieces.push(Piece { span: place, is_base, value });
        }
        let begins_empty = is_empty(model.value(value));
        let named = &pieces[usize::from(begins_empty)..];
        let first = u32::from(begins_empty);
        let finder = if model.is_list() {
            Finder::items(model, named, first, cancellation)?
        } else {
            Finder::texts(model, named, first, cancellation)?
        };
        let text = |piece: &Piece| match model.value(piece.value) {
            Value::Text(text) => &**text,
            _ => "",
        };
        let count = if model.is_list() { 0 } else { pieces.len() };
        let texts = cancellation.collect(pieces[..count].iter().map(text))?;
        Ok(Self { pieces, by_span, begins_empty, texts, finder })
    }

    pub(super) const fn len(&self) -> usize {
        self.pieces.len()
    }

    pub(super) fn get(&self, piece: u32) -> Piece {
        self.pieces[piece as usize]
    }

    /// The piece that the span put or appended.
    pub(super) fn of_span(&self, span: u32) -> Option<u32> {
        Some(self.by_span[span as usize]).filter(|&piece| piece != NONE)
    }

    /// How many bytes or items the piece has.
    pub(super) fn size(&self, piece: u32) -> usize {
        match &self.finder {
            Finder::Texts(_) => self.texts[piece as usize].len(),
            Finder::Items { bases, .. } => bases.get(&piece).map_or(1, |items| items.len()),
        }
    }

    /// The pieces of which the content consists, as far as there are such; and where they end.
    /// `next` says of every piece which one is likely to follow.
    pub(super) fn take_apart(
        &self,
        content: &Value,
        next: impl Fn(Option<u32>) -> u32,
        cancellation: &Cancellation<'_>,
    ) -> Result<(Vec<u32>, usize), Stopped> {
        let mut pieces = Vec::new();
        let mut end = 0;
        while let Some((piece, size)) = self.at(next(pieces.last().copied()), content, end) {
            cancellation.step()?;
            pieces.push(piece);
            end += size;
        }
        Ok((pieces, end))
    }

    /// Whether `end` is all of the content, and the object can be so.
    pub(super) fn is_whole(&self, content: &Value, end: usize) -> bool {
        end == length(content) && (end > 0 || self.begins_empty)
    }

    /// The piece by which the content can go on there, and its length.
    fn at(&self, likely: u32, content: &Value, place: usize) -> Option<(u32, usize)> {
        if place == length(content) {
            return None;
        }
        let found = match self.size_if_at(likely, content, place) {
            Some(size) => (likely, size),
            None => self.finder.at(content, place)?,
        };
        let begins = self.get(found.0).is_base;
        (if place == 0 { begins || self.begins_empty } else { !begins }).then_some(found)
    }

    /// The length of the piece, if it is a text and stands there.
    fn size_if_at(&self, piece: u32, content: &Value, place: usize) -> Option<usize> {
        let text = *self.texts.get(piece as usize)?;
        let Value::Text(content) = content else { return None };
        content.as_bytes()[place..].starts_with(text.as_bytes()).then_some(text.len())
    }
}

impl<'a> Finder<'a> {
    fn texts(
        model: &'a Append<'_>,
        pieces: &[Piece],
        first: u32,
        cancellation: &Cancellation<'_>,
    ) -> Result<Self, NoPieces> {
        let mut texts = Vec::with_capacity(pieces.len());
        for (number, piece) in (first..).zip(pieces) {
            cancellation.step()?;
            let Value::Text(text) = model.value(piece.value) else {
                return Err(NoPieces::Inexact("no text"));
            };
            texts.push((&**text, number));
        }
        cancellation.sort(&mut texts)?;
        // If one begins with another, so does every one between them in order.
        let begins = |pair: &[(&str, u32)]| pair[1].0.starts_with(pair[0].0);
        if cancellation.count(texts.windows(2), begins)? > 0 {
            return Err(NoPieces::Inexact("a piece that another begins with"));
        }
        Ok(Self::Texts(texts))
    }

    fn items(
        model: &'a Append<'_>,
        pieces: &[Piece],
        first: u32,
        cancellation: &Cancellation<'_>,
    ) -> Result<Self, NoPieces> {
        let (mut by_item, mut bases) = (FxHashMap::default(), FxHashMap::default());
        for (number, piece) in (first..).zip(pieces) {
            let value = model.value(piece.value);
            let items = match value {
                Value::List(items) if piece.is_base => &items[..],
                value => std::slice::from_ref(value),
            };
            if piece.is_base {
                bases.insert(number, items);
            }
            cancellation.spend(1 + items.len())?;
            for item in items {
                if by_item.insert(item, number).is_some() {
                    return Err(NoPieces::Inexact("an item that was put or appended twice"));
                }
            }
        }
        Ok(Self::Items { by_item, bases })
    }

    /// The piece that stands there, and its length.
    fn at(&self, content: &Value, place: usize) -> Option<(u32, usize)> {
        match (self, content) {
            (Self::Texts(texts), Value::Text(content)) => {
                let rest = content.as_bytes().get(place..)?;
                // The greatest that is not greater than the rest; another one that the rest begins
                // with would lie between, and begin with it.
                let after = texts.partition_point(|(text, _)| text.as_bytes() <= rest);
                let (text, piece) = *texts.get(after.checked_sub(1)?)?;
                rest.starts_with(text.as_bytes()).then_some((piece, text.len()))
            }
            (Self::Items { by_item, bases }, Value::List(items)) => {
                let rest = &items[place..];
                let piece = *by_item.get(&rest[0])?;
                match bases.get(&piece) {
                    Some(base) => rest.starts_with(base).then_some((piece, base.len())),
                    None => Some((piece, 1)),
                }
            }
            _ => None,
        }
    }
}

/// The first bytes or items of a content.
pub(super) fn beginning(content: &Value, end: usize) -> Value {
    match content {
        Value::Text(text) => Value::text(&text[..end]),
        Value::List(items) => Value::list(&items[..end]),
        other => other.clone(),
    }
}

/// How many bytes or items a content has.
fn length(content: &Value) -> usize {
    match content {
        Value::Text(text) => text.len(),
        Value::List(items) => items.len(),
        _ => 0,
    }
}

/// Whether the value adds nothing; an item of a list always does, unless it is an empty content.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Text(text) => text.is_empty(),
        Value::List(items) => items.is_empty(),
        _ => false,
    }
}

//! The command line.

use crate::params::{self, Params};
use crate::score::{self, Scoring};

#[derive(Clone, Copy, PartialEq)]
pub enum MessageIds {
    Default,
    Content,
    Library,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Signing {
    Strict,
    None,
    Lax,
    Author,
}

pub struct Flags {
    pub listen: String,
    pub seed: Option<u64>,
    pub params: Params,
    pub score: Option<Scoring>,
    pub message_ids: MessageIds,
    pub signing: Signing,
    pub quiet: bool,
}

/// The flags as they stand on the command line.
struct Texts {
    listen: String,
    seed: Option<String>,
    protocol: String,
    params: String,
    score: Option<String>,
    message_ids: String,
    signing: String,
    quiet: bool,
}

pub fn parse(arguments: impl Iterator<Item = String>) -> Result<Flags, String> {
    let texts = read(arguments)?;
    match texts.protocol.as_str() {
        "gossipsub" => {}
        "floodsub" => return Err("--protocol floodsub: unsupported".into()),
        other => return Err(format!("--protocol {other:?}: must be one of gossipsub, floodsub")),
    }
    let signing = match texts.signing.as_str() {
        "strict" => Signing::Strict,
        "none" => Signing::None,
        "lax" => Signing::Lax,
        "author" => Signing::Author,
        other => {
            return Err(format!("--sign {other:?}: must be one of strict, none, lax, author"));
        }
    };
    let message_ids = match texts.message_ids.as_str() {
        "default" | "content" | "library" if signing == Signing::None => MessageIds::Content,
        "default" => MessageIds::Default,
        "content" => MessageIds::Content,
        "library" => MessageIds::Library,
        other => {
            return Err(format!("--msgid {other:?}: must be one of default, content, library"));
        }
    };
    let number = |text: String| {
        text.parse::<u64>().map_err(|_| format!("--seed {text:?} is not a number from 0 to 2^64-1"))
    };
    Ok(Flags {
        listen: texts.listen,
        seed: texts.seed.map(number).transpose()?,
        params: params::parse(&texts.params).map_err(|why| format!("--params: {why}"))?,
        score: texts
            .score
            .map(|text| score::parse(&text).map_err(|why| format!("--score: {why}")))
            .transpose()?,
        message_ids,
        signing,
        quiet: texts.quiet,
    })
}

fn read(mut arguments: impl Iterator<Item = String>) -> Result<Texts, String> {
    let mut texts = Texts {
        listen: "/ip4/127.0.0.1/tcp/0".into(),
        seed: None,
        protocol: "gossipsub".into(),
        params: "{}".into(),
        score: None,
        message_ids: "default".into(),
        signing: "strict".into(),
        quiet: false,
    };
    while let Some(argument) = arguments.next() {
        let (flag, mut given) = match argument.split_once('=') {
            Some((flag, value)) if flag.starts_with('-') => (flag, Some(value.to_owned())),
            _ => (argument.as_str(), None),
        };
        let mut value =
            || given.take().or_else(|| arguments.next()).ok_or(format!("{flag}: needs a value"));
        match flag {
            "--listen" => texts.listen = value()?,
            "--seed" => texts.seed = Some(value()?),
            "--protocol" => texts.protocol = value()?,
            "--params" => texts.params = value()?,
            "--score" => texts.score = Some(value()?),
            "--msgid" => texts.message_ids = value()?,
            "--sign" => texts.signing = value()?,
            "--no-sign" => texts.signing = "none".into(),
            "--quiet" => texts.quiet = true,
            _ if flag.starts_with('-') => return Err(format!("unknown flag {flag:?}")),
            _ => return Err(format!("unexpected argument {argument:?}")),
        }
    }
    Ok(texts)
}

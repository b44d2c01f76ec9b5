"""What secrets look like, by kind: the forms that their makers publish, and the marks by which a text is searched for them. A table."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator
from functools import cache
from itertools import product

from modelcrate_layers.frozen import NamedTuple, dataclass

JWT = "a signed token (JWT) that has not expired"

URL = (b"://",)
"""The mark of a login in a URL."""

_WORD = rb"(?<![A-Za-z0-9_-])"
_END = rb"(?![A-Za-z0-9_-])"
_NO_PASSWORD = rb"(?!(?:pass(?:word|wd)?|pwd|passphrase|secret|token|changeme|example|user(?:name)?|guest|your[\w-]*|my[-_]?pass\w*|\*+|x+|\.+)@|\1@)"
"""Placeholders for a password in documents: the word itself, stars, or the user's name again."""


def _spelled(*words: str) -> tuple[bytes, ...]:
    """Returns the usual spellings of some words in a row: each with small letters, capitals, or one capital."""
    ways = product(*((word, word.upper(), word.capitalize()) for word in words))
    return tuple("".join(way).encode() for way in ways)


def _any_of(texts: tuple[bytes, ...]) -> bytes:
    return b"(?:%b)" % b"|".join(map(re.escape, texts))


def _near(words: tuple[bytes, ...], key: bytes) -> bytes:
    """Returns the pattern of a key whose form is not sure: a word of its maker's stands before it or behind it."""
    word, alone = _any_of(words), _WORD + key + _END
    return rb"%b[^\0]{0,200}?%b|%b[^\0]{0,200}?%b" % (word, alone, alone, word)


def _variable(name: str) -> tuple[bytes, ...]:
    """Returns how a variable or a setting for a maker's key is spelled."""
    return tuple(each.encode() for each in (f"{name}_api_key", f"{name}_api_key".upper()))


def _in_variable(names: tuple[bytes, ...], key: bytes) -> bytes:
    """Returns the pattern of a key that has no form of its own: it counts by the variable that it is given to."""
    return _any_of(names) + rb"[\"']?\]?\s*[:=,]\s*[\"']?" + key + rb"(?![A-Za-z0-9_./+-])"


_BY_VARIABLE = (
    ("Mistral's", "mistral", rb"[A-Za-z0-9]{32}"),
    ("AssemblyAI's", "assemblyai", rb"[0-9a-f]{32}"),
    ("Cohere's", "cohere", rb"[A-Za-z0-9]{40}"),
    ("Deepgram's", "deepgram", rb"[0-9a-f]{40}"),
    ("Weights & Biases'", "wandb", rb"[0-9a-f]{40}"),
    ("Alibaba Cloud's", "dashscope", rb"sk-[0-9a-f]{32}"),
    ("Moonshot's", "moonshot", rb"sk-[A-Za-z0-9]{48}"),
    ("Voyage's", "voyage", rb"pa-[A-Za-z0-9_-]{43}"),
    ("Fireworks'", "fireworks", rb"fw_[A-Za-z0-9]{22,24}"),
)
"""Makers of models, the names of their variables, and what their keys look like, which other texts do as well."""

_DEEPSEEK = (*_spelled("deepseek"), b"DeepSeek")
_ELEVENLABS = (*_spelled("elevenlabs"), b"ElevenLabs", b"xi-api-key")
_SECRET_ACCESS = tuple(
    dict.fromkeys(each for between in ("", "_", "-") for each in _spelled("secret", between, "access"))
)
_ACCOUNT_KEY = tuple(each + b"=" for each in _spelled("account", "key"))


@dataclass(frozen=True, slots=True)
class Form:
    """What a kind of secret looks like. Every match of `pattern` has one of the `marks` in it."""

    kind: str
    marks: tuple[bytes, ...]
    pattern: bytes
    warns: bool = False
    """Whether it is only warned about, because it may be worthless by now."""


FORMS: tuple[Form, ...] = tuple(
    Form(kind, marks, pattern, kind == JWT)
    for kind, marks, pattern in (
        ("a private key", (b"-----BEGIN ",), rb"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----(?:\\*[nr]|[\s\"'+,\\])*(?!-----)[A-Za-z0-9+/=:, -]{10}"),
        ("an access key of AWS", (b"AKIA", b"ASIA", b"ABIA", b"ACCA", b"A3T"), _WORD + rb"(?:A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}" + _END),
        ("a secret key of AWS", _SECRET_ACCESS, rb"(?i:aws)[_-]?" + _any_of(_SECRET_ACCESS) + rb"[_-]?(?i:key)[\"']?\s*[:=]\s*[\"']?[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])"),
        ("a private key", (b"---- BEGIN SSH2 ", b"PuTTY-User-Key-File-", b"untrusted comment: ", b"PrivateKey"), rb"---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----|PuTTY-User-Key-File-[23]: |untrusted comment: [^\n]{0,200}secret key\r?\nRW[A-Za-z0-9+/]{80}|PrivateKey\s*=\s*[A-Za-z0-9+/]{43}=(?![A-Za-z0-9+/=])"),
        ("a private key in a JWK", (b'"kty"',), rb"\"kty\"[^{}]{0,4000}?\"(?:d|p|q|qi)\"\s*:\s*\"[A-Za-z0-9_-]{43}|\"d\"\s*:\s*\"[A-Za-z0-9_-]{43,88}\"\s*,\s*\"kty\""),
        ("a token of GitHub's", (b"ghp_", b"gho_", b"ghu_", b"ghs_", b"ghr_", b"github_pat_"), _WORD + rb"(?:gh[pousr]_[A-Za-z0-9]{36,255}|ghs_[0-9]{1,20}_eyJ[A-Za-z0-9_-]{8,1000}\.eyJ[A-Za-z0-9_-]{8,2000}\.[A-Za-z0-9_-]{32,1000}|github_pat_[A-Za-z0-9_]{60,255})" + _END),
        ("a token of GitLab's", (b"glpat-", b"gldt-", b"glrt-", b"glrtr-", b"glcbt-", b"glptt-", b"glft-", b"glsoat-", b"glimt-", b"glagent-", b"gloas-", b"glffct-", b"glwt-", b"GR1348941"), _WORD + rb"(?:gl(?:pat|dt|rt|rtr|cbt|ptt|ft|soat|imt|agent|oas|ffct|wt)-[A-Za-z0-9_-]{20,300}(?:\.[0-9a-z]{2}\.[0-9a-z]{9}|\.[0-9a-z]{9})?|GR1348941[A-Za-z0-9_-]{20})" + _END),
        ("a token of Hugging Face's", (b"hf_", b"api_org_"), _WORD + rb"(?:hf_|api_org_)[A-Za-z]{34,40}" + _END),
        ("a token of Slack's", (b"xox", b"xapp-"), _WORD + rb"(?:xox[abeoprs](?:\.xox[bp])?-[0-9A-Za-z-]{20,250}|xapp-[0-9]-[A-Z0-9]{8,14}-[0-9]{8,16}-[0-9a-f]{32,100})"),
        ("a webhook of Slack's", (b"hooks.slack.com/",), rb"hooks\.slack\.com/(?:services|workflows|triggers)/[A-Z][A-Z0-9]{7,14}/[A-Za-z0-9]{8,20}/[A-Za-z0-9/]{16,64}"),
        ("a webhook of Discord's", (b"/api/webhooks/",), rb"discord(?:app)?\.com/api/webhooks/[0-9]{17,20}/[A-Za-z0-9_-]{60,72}"),
        ("a webhook of Teams'", (b"/webhookb2/", b"/IncomingWebhook/"), rb"\.office\.com/webhookb?2?/[0-9a-f-]{36}@[0-9a-f-]{36}/IncomingWebhook/[0-9a-f]{32}/[0-9a-f-]{36}"),
        ("a bot's token of Telegram's", (b":AA",), rb"(?<![0-9])[0-9]{8,10}:AA[A-Za-z0-9_-]{33}" + _END),
        ("a key of Twilio's", _spelled("twilio"), _any_of(_spelled("twilio")) + rb"[^\0]{0,200}?" + _WORD + rb"SK[0-9a-f]{32}" + _END),
        ("a key of Mailchimp's", tuple(b"-us%d" % digit for digit in range(1, 10)), _WORD + rb"[0-9a-f]{32}-us[1-9][0-9]?" + _END),
        ("a token of Artifactory's", (b"AKCp", b"cmVmdGtu"), _WORD + rb"(?:AKCp[A-Za-z0-9]{66,100}|cmVmdGtu[A-Za-z0-9]{56})" + _END),
        ("an API key of OpenAI's", (b"T3BlbkFJ",), _WORD + rb"sk-(?:proj-|svcacct-|admin-)?[A-Za-z0-9_-]{20,200}T3BlbkFJ[A-Za-z0-9_-]{20,200}"),
        ("an API key of Anthropic's", (b"sk-ant-",), _WORD + rb"sk-ant-[a-z0-9]{3,10}-[A-Za-z0-9_-]{80,120}"),
        ("an API key of Google's", (b"AIza",), _WORD + rb"AIza[0-9A-Za-z_-]{35}" + _END),
        ("an API key of Google's", (b"AQ.Ab",), _WORD + rb"AQ\.Ab[0-9A-Za-z_-]{40,100}" + _END),
        ("a refresh token of Google's", (b"1//0",), _WORD + rb"1//0[0-9A-Za-z_-]{60,160}" + _END),
        ("a client secret of Google's", (b"GOCSPX-",), _WORD + rb"GOCSPX-[0-9A-Za-z_-]{28}" + _END),
        ("a service account of Google's", (b"\"service_account\"",), rb"\"type\"\s*:\s*\"service_account\"[^}]{0,4000}\"private_key\""),
        ("a key of Stripe's", (b"k_live_", b"sk_org_live_", b"whsec_"), _WORD + rb"(?:(?:[sr]k|sk_org)_live_[0-9A-Za-z]{20,250}|whsec_[0-9A-Za-z+/]{32,64})" + _END),
        ("a token of Square's", (b"sq0",), _WORD + rb"sq0(?:atp-[0-9A-Za-z_-]{22}|csp-[0-9A-Za-z_-]{43})" + _END),
        ("a token of PyPI's", (b"pypi-AgE",), _WORD + rb"pypi-AgE[A-Za-z0-9_-]{50,1000}"),
        ("a token of npm's", (b"npm_",), _WORD + rb"npm_[A-Za-z0-9]{36}" + _END),
        ("a token of npm's", (b":_authToken",), rb"//[^\s:]{1,200}/:_authToken\s*=\s*[^\s$]{8,400}"),
        ("a token of npm's", (b"npmAuthToken", b"npmAuthIdent"), rb"npmAuth(?:Token|Ident)\"?\s*:\s*[\"']?[A-Za-z0-9+/=_:.-]{8,400}"),
        ("a login to a package index", (b":_auth", b":_password"), rb"//[^\s:]{1,200}/:_(?:auth|password)\s*=\s*[\"']?[A-Za-z0-9+/]{8,400}={0,2}"),
        ("a token of Docker Hub's", (b"dckr_",), _WORD + rb"dckr_(?:pat|oat)_[A-Za-z0-9_-]{27,64}" + _END),
        ("an account key of Azure's", _ACCOUNT_KEY, _any_of(_ACCOUNT_KEY) + rb"[A-Za-z0-9+/]{86}=="),
        ("a shared access key of Azure's", (b"SharedAccessKey=", b".azconfig.io;"), rb"SharedAccessKey=[A-Za-z0-9+/]{43}=|\.azconfig\.io;Id=[^;\s]{4,80};Secret=[A-Za-z0-9+/]{36,100}={0,2}"),
        ("a key of Azure's", (b"JQQJ9",), _WORD + rb"[A-Za-z0-9]{52}JQQJ9[A-Za-z0-9]{27}" + _END),
        ("a shared access signature of Azure's", (b"sv=20",), rb"[?&]sv=20[0-9]{2}-[0-9]{2}-[0-9]{2}&[^\s\"']{0,400}sig=[A-Za-z0-9%+/]{40,100}"),
        ("a token of Databricks'", (b"dapi", b"dose"), _WORD + rb"(?:dapi|dose)[0-9a-f]{32}(?:-[0-9])?" + _END),
        ("a token of DigitalOcean's", (b"_v1_",), _WORD + rb"do[opr]_v1_[0-9a-f]{64}" + _END),
        ("a token of SendGrid's", (b"SG.",), _WORD + rb"SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}" + _END),
        ("a token of HashiCorp's", (b"hvs.", b"hvb.", b"hvr.", b".atlasv1."), _WORD + rb"(?:hv[sbr]\.[A-Za-z0-9_-]{24,300}|[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{60,70})"),
        ("a token of Grafana's", (b"glsa_", b"glc_"), _WORD + rb"(?:glsa_[A-Za-z0-9]{32}_[0-9a-f]{8}|glc_[A-Za-z0-9+/]{32,400}={0,2})"),
        ("a token of Shopify's", (b"shp",), _WORD + rb"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}" + _END),
        ("a key of age's", (b"AGE-SECRET-KEY-",), rb"AGE-SECRET-KEY-(?:PQ-)?1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}"),
        ("a webhook of Teams'", (b".logic.azure.com", b".powerplatform.com"), rb"\.(?:logic\.azure|powerplatform)\.com(?::443)?/[^\s\"']{0,300}[?&]sig=[A-Za-z0-9_%-]{40,60}"),
        ("a bot's token of Discord's", _spelled("discord"), _any_of(_spelled("discord")) + rb"[^\0]{0,200}?" + _WORD + rb"[MNO][A-Za-z0-9_-]{23,25}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,38}" + _END),
        ("a key of Amazon Bedrock's", (b"ABSK", b"bedrock-api-key-"), _WORD + rb"(?:ABSK[A-Za-z0-9+/]{109,269}|bedrock-api-key-YmVkcm9jay5hbWF6b25hd3MuY29t[A-Za-z0-9+/]{40,4000})={0,2}"),
        ("a client secret of Azure's", (b"7Q~", b"8Q~"), rb"(?<![A-Za-z0-9_~.-])[A-Za-z0-9_~.-]{3}[78]Q~[A-Za-z0-9_~.-]{31,34}(?![A-Za-z0-9_~.-])"),
        ("a token of Azure DevOps'", (b"AZDO",), _WORD + rb"[A-Za-z0-9]{76}AZDO[A-Za-z0-9]{4}" + _END),
        ("a key of Mailgun's", _spelled("mailgun"), _any_of(_spelled("mailgun")) + rb"[^\0]{0,200}?" + _WORD + rb"key-[0-9a-f]{32}" + _END),
        ("a token of Atlassian's", (b"ATATT3xFf", b"ATCTT3xFf", b"ATBB"), _WORD + rb"(?:AT[AC]TT3xFf[A-Za-z0-9_-]{100,220}=[0-9A-F]{8}|ATBB[A-Za-z0-9]{28,32})" + _END),
        ("a token of Doppler's", (b"dp.",), _WORD + rb"dp\.(?:pt|st(?:\.[a-z0-9_-]{2,35})?|ct|sa|scim|audit)\.[A-Za-z0-9]{40,44}" + _END),
        ("a key of Linear's", (b"lin_api_", b"lin_oauth_"), _WORD + rb"lin_(?:api_[A-Za-z0-9]{40}|oauth_[0-9a-f]{64})" + _END),
        ("a token of Notion's", (b"ntn_",), _WORD + rb"ntn_[A-Za-z0-9]{40,60}" + _END),
        ("a key of Postman's", (b"PMAK-",), _WORD + rb"PMAK-[0-9a-f]{24}-[0-9a-f]{34}" + _END),
        ("a key of New Relic's", (b"NRAK-", b"NRII-", b"NRAA-"), _WORD + rb"NR(?:AK|II|AA)-[A-Za-z0-9_-]{27,32}" + _END),
        ("a token of Replicate's", (b"r8_",), _WORD + rb"r8_[A-Za-z0-9]{37}" + _END),
        ("an API key of Groq's", (b"gsk_",), _WORD + rb"gsk_[A-Za-z0-9]{52}" + _END),
        ("an API key of Perplexity's", (b"pplx-",), _WORD + rb"pplx-[A-Za-z0-9]{48}" + _END),
        ("an API key of xAI's", (b"xai-",), _WORD + rb"xai-[A-Za-z0-9]{80}" + _END),
        ("an API key of OpenRouter's", (b"sk-or-v1-",), _WORD + rb"sk-or-v1-[0-9a-f]{64}" + _END),
        ("an API key of LangSmith's", (b"lsv2_",), _WORD + rb"lsv2_(?:pt|sk)_[0-9a-f]{32}_[0-9a-f]{10}" + _END),
        ("an API key of NVIDIA's", (b"nvapi-",), _WORD + rb"nvapi-[A-Za-z0-9_-]{60,70}" + _END),
        ("an API key of Weights & Biases'", (b"wandb_v1_",), _WORD + rb"wandb_v1_[A-Za-z0-9_]{40,100}" + _END),
        ("an API key of Pinecone's", (b"pcsk_",), _WORD + rb"pcsk_[A-Za-z0-9]{4,8}_[A-Za-z0-9]{50,70}" + _END),
        ("a token of Sentry's", (b"sntrys_", b"sntryu_"), _WORD + rb"(?:sntrys_eyJ[A-Za-z0-9+/=]{80,400}_[A-Za-z0-9+/]{43}|sntryu_[0-9a-f]{64})"),
        ("a token of Pulumi's", (b"pul-",), _WORD + rb"pul-[0-9a-f]{40}" + _END),
        ("a token of PlanetScale's", (b"pscale_",), _WORD + rb"pscale_(?:tkn|pw|oauth)_[A-Za-z0-9_=.-]{32,64}"),
        ("a token of RubyGems'", (b"rubygems_",), _WORD + rb"rubygems_[0-9a-f]{48}" + _END),
        ("a token of Netlify's", (b"nfp_",), _WORD + rb"nfp_[A-Za-z0-9]{36}" + _END),
        ("a token of Fly's", (b"fo1_", b"fm1", b"fm2_"), _WORD + rb"(?:fo1_[A-Za-z0-9_-]{43}|fm1[ar]_[A-Za-z0-9+/]{100,}={0,3}|fm2_[A-Za-z0-9+/]{100,}={0,3})"),
        ("a token of Supabase's", (b"sbp_", b"sb_secret_"), _WORD + rb"(?:sbp_[0-9a-f]{40}|sb_secret_[A-Za-z0-9_-]{22}_[A-Za-z0-9_-]{8})" + _END),
        ("a token of Figma's", (b"figd_",), _WORD + rb"figd_[A-Za-z0-9_-]{38,48}" + _END),
        ("a token of Dynatrace's", (b"dt0c", b"dt0s"), _WORD + rb"dt0[cs][0-9]{2}\.[A-Z0-9]{8,24}\.[A-Z0-9]{64}" + _END),
        ("a key of Heroku's", (b"HRKU-AA",), _WORD + rb"HRKU-AA[A-Za-z0-9_-]{58}" + _END),
        ("a token of Okta's", (b"SSWS 00",), rb"SSWS 00[A-Za-z0-9_-]{40}" + _END),
        ("a token of Cloudflare's", (b"cfk_", b"cfut_", b"cfat_", b"v1.0-"), _WORD + rb"(?:cf(?:k|ut|at)_[A-Za-z0-9]{46,50}|v1\.0-[0-9a-f]{24}-[0-9a-f]{146})" + _END),
        ("a token of Vercel's", tuple(b"vc%c_" % each for each in b"pciark"), _WORD + rb"vc[pciark]_[A-Za-z0-9_-]{50}[A-Za-z0-9]{6}" + _END),
        ("an API key of Together's", (b"tgp_v1_",), _WORD + rb"tgp_v1_[A-Za-z0-9_-]{43}" + _END),
        ("an API key of Cerebras'", (b"csk-",), _WORD + rb"csk-[a-z0-9]{48}" + _END),
        ("an API key of Tavily's", (b"tvly-",), _WORD + rb"tvly-(?:dev-|prod-)?[A-Za-z0-9]{32}" + _END),
        ("an API key of Jina's", (b"jina_",), _WORD + rb"jina_[0-9a-f]{32}[A-Za-z0-9_-]{28}" + _END),
        ("an API key of LlamaCloud's", (b"llx-",), _WORD + rb"llx-[A-Za-z0-9]{44,52}" + _END),
        ("a secret key of Langfuse's", (b"sk-lf-",), _WORD + rb"sk-lf-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}" + _END),
        ("a token of Kaggle's", (b"KGAT_",), _WORD + rb"KGAT_[0-9a-f]{32}" + _END),
        ("an API key of RunPod's", (b"rpa_",), _WORD + rb"rpa_[A-Za-z0-9]{40,50}" + _END),
        ("a key of Tailscale's", (b"tskey-",), _WORD + rb"tskey-[a-z]{3,10}-[0-9A-Za-z]{9,20}-[0-9A-Za-z]{20,40}" + _END),
        ("a token of CircleCI's", (b"CCIPAT_", b"CCIPRJ_"), _WORD + rb"CCIP(?:AT|RJ)_[A-Za-z0-9]{22}_[0-9a-z]{40}" + _END),
        ("a token of Buildkite's", (b"bkua_",), _WORD + rb"bkua_[0-9a-z]{40}" + _END),
        ("a token of SonarQube's", (b"sqp_", b"squ_", b"sqa_"), _WORD + rb"sq[pua]_[0-9a-z]{40}" + _END),
        ("a token of 1Password's", (b"ops_eyJ",), _WORD + rb"ops_eyJ[A-Za-z0-9+/_-]{250,1500}"),
        ("a key of Brevo's", (b"xkeysib-",), _WORD + rb"xkeysib-[0-9a-f]{64}-[A-Za-z0-9]{16}" + _END),
        ("a key of Prefect's", (b"pnu_", b"pnb_"), _WORD + rb"pn[ub]_[A-Za-z0-9]{36}" + _END),
        ("a token of PostHog's", (b"phx_",), _WORD + rb"phx_[A-Za-z0-9_]{43}" + _END),
        ("a token of Sourcegraph's", (b"sgp_",), _WORD + rb"sgp_(?:(?:[0-9a-fA-F]{16}|local)_)?[0-9a-fA-F]{40}" + _END),
        ("a secret of MongoDB Atlas'", (b"mdb_sa_sk_",), _WORD + rb"mdb_sa_sk_[A-Za-z0-9_-]{40}" + _END),
        ("a token of OpenShift's", (b"sha256~",), _WORD + rb"sha256~[A-Za-z0-9_-]{43}" + _END),
        ("a token of Neon's", (b"napi_",), _WORD + rb"napi_[a-z0-9]{64}" + _END),
        ("an API key of DeepSeek's", _DEEPSEEK, _near(_DEEPSEEK, rb"sk-[0-9a-f]{32}")),
        ("an API key of ElevenLabs'", _ELEVENLABS, _near(_ELEVENLABS, rb"sk_[0-9a-f]{48}")),
        *((f"an API key of {maker}", _variable(name), _in_variable(_variable(name), key)) for maker, name, key in _BY_VARIABLE),
        ("a registry login", (b"\"auth\"", b"\"identitytoken\""), rb"\"(?:auth\"\s*:\s*\"[A-Za-z0-9+/]{8,400}={0,2}|identitytoken\"\s*:\s*\"[^\"\s]{16,4000})\""),
        ("a login in a URL", URL, rb"://(?<=[A-Za-z0-9]://)([^\s/:@\"'<>{}$\\?#]{0,64}):" + _NO_PASSWORD + rb"[^\s/:@\"'<>{}$]{5,128}@(?:[A-Za-z0-9][A-Za-z0-9_.-]{0,252}|\[[0-9a-fA-F:.]{2,45}\])(?=[:/?#\s\"'`,;)\\<\]]|$)"),
        (JWT, (b"eyJ",), _WORD + rb"eyJ[A-Za-z0-9_-]{8,1000}\.eyJ[A-Za-z0-9_-]{4,8000}\.[A-Za-z0-9_-]{32,1000}" + _END),
    )
)  # fmt: skip
LONG = frozenset({JWT, "a service account of Google's", "a token of PyPI's"})
_ESCAPED = (
    b":\\/\\/", b"%3A%2F%2F", b"%3a%2f%2f", b"\\u002f\\u002f", b"\\u002F\\u002F", b"\\x2f\\x2f", b"\\\"auth\\", b"\\\"service_account\\", b"%22auth%22",
    b"-----BEGIN%20", b"-----BEGIN+", b"AccountKey%3D", b"AccountKey%3d", b"sv%3D20", b"sv%3d20", b"%3AAA", b"%3aAA",
    b"1\\/\\/0", b"1%2F%2F0", b"1%2f%2f0", b"%3A_auth", b"%3a_auth", b"%3A_password", b"%3a_password", b"\\\"kty\\", b"%22kty%22", b"SharedAccessKey%3",
)  # fmt: skip
"""How marks are written in escaped texts: JSON in JSON, URLs, Python."""

SURE = 8
"""Characters of base64 that are enough of a mark."""

_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_NEXT = [bytes([high << 4]) for high in range(2, 8)]
"""A character for each upper half that printable ones have: no more of it stands in what is sure."""


def _in_base64(text: bytes) -> Iterator[tuple[bytes, int]]:
    """Yields what stands for sure in the base64 of anything that has a text in it, for each place that the text may begin at.

    Each comes with its place in a group of four characters, and once more for each line break that may be in it, which is behind such a
    group. A text of three bytes is not enough: then what may come next is tried.
    """
    for before in range(3):
        first = -(-before * 8 // 6)
        last = (before + len(text)) * 8 // 6
        for behind in [b""] if last - first >= 4 else _NEXT:
            sure = b64encode(b"\0\0"[:before] + text + behind)[first : min(last + len(behind), first + SURE)]
            for each in [sure] if sure.isalnum() else [sure, sure.translate(_URL_SAFE)]:
                yield each, first
                for at in range(4 - first, len(each), 4):
                    yield each[:at] + b"\n" + each[at:], first


class Mark(NamedTuple):
    """A text by which secrets are found, and its meaning.

    A secret of this `form` may be around it. Without a form, it shows a secret that is encoded: `place` is its place in a group of four
    characters of base64, -1 for other encodings.
    """

    text: bytes
    form: Form | None
    place: int = -1


@cache
def marks() -> tuple[Mark, ...]:
    """Returns all marks, those that are read as they are before the encoded ones."""
    found = {mark: Mark(mark, form) for form in FORMS for mark in form.marks}
    found |= {mark: Mark(mark, None) for mark in _ESCAPED}
    for hidden in list(found):
        for mark, place in _in_base64(hidden):
            found.setdefault(mark, Mark(mark, None, place))
    return tuple(found.values())

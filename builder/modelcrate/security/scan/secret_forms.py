"""What secrets look like, by kind: the forms that their makers publish, and the marks by which a text is searched for them. A table."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator

from modelcrate_layers.frozen import dataclass

JWT = "a signed token (JWT) that has not expired"

_WORD = rb"(?<![A-Za-z0-9_-])"
_END = rb"(?![A-Za-z0-9_-])"
_NO_PASSWORD = rb"(?!(?:pass(?:word|wd)?|pwd|passphrase|secret|token|changeme|example|user(?:name)?|guest|your[\w-]*|my[-_]?pass\w*|\*+|x+|\.+)@|\1@)"
"""Placeholders for a password in documents: the word itself, stars, or the user's name again."""


@dataclass(frozen=True, slots=True)
class Form:
    """What a kind of secret looks like. Every match of `pattern` has one of the `marks` in it, with small letters for capitals."""

    kind: str
    marks: tuple[bytes, ...]
    pattern: bytes
    warns: bool = False
    """Whether it is only warned about, because it may be worthless by now."""


FORMS: tuple[Form, ...] = tuple(
    Form(kind, marks, pattern, kind == JWT)
    for kind, marks, pattern in (
        ("a private key", (b"-----begin ",), rb"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----(?:\\*[nr]|[\s\"'+,\\])*(?!-----)[A-Za-z0-9+/=:, -]{10}"),
        ("an access key of AWS", (b"akia", b"asia", b"abia", b"acca", b"a3t"), _WORD + rb"(?:A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}" + _END),
        ("a secret key of AWS", (b"secretaccess", b"secret_access", b"secret-access"), rb"(?i)aws[_-]?secret[_-]?access[_-]?key[\"']?\s*[:=]\s*[\"']?[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])"),
        ("a token of GitHub's", (b"ghp_", b"gho_", b"ghu_", b"ghs_", b"ghr_", b"github_pat_"), _WORD + rb"(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{60,255})" + _END),
        ("a token of GitLab's", (b"glpat-", b"gldt-", b"glrt-", b"glrtr-", b"glcbt-", b"glptt-", b"glft-", b"glsoat-", b"glimt-", b"glagent-", b"gloas-", b"glffct-", b"glwt-", b"gr1348941"), _WORD + rb"(?:gl(?:pat|dt|rt|rtr|cbt|ptt|ft|soat|imt|agent|oas|ffct|wt)-[A-Za-z0-9_-]{20,300}(?:\.[0-9a-z]{2}\.[0-9a-z]{9}|\.[0-9a-z]{9})?|GR1348941[A-Za-z0-9_-]{20})" + _END),
        ("a token of Hugging Face's", (b"hf_", b"api_org_"), _WORD + rb"(?:hf_|api_org_)[A-Za-z]{34,40}" + _END),
        ("a token of Slack's", (b"xox", b"xapp-"), _WORD + rb"(?:xox[abeoprs](?:\.xox[bp])?-[0-9A-Za-z-]{20,250}|xapp-[0-9]-[A-Z0-9]{8,14}-[0-9]{8,16}-[0-9a-f]{32,100})"),
        ("a webhook of Slack's", (b"hooks.slack.com/",), rb"hooks\.slack\.com/(?:services|workflows|triggers)/[A-Z][A-Z0-9]{7,14}/[A-Za-z0-9]{8,20}/[A-Za-z0-9/]{16,64}"),
        ("a webhook of Discord's", (b"/api/webhooks/",), rb"discord(?:app)?\.com/api/webhooks/[0-9]{17,20}/[A-Za-z0-9_-]{60,72}"),
        ("a webhook of Teams'", (b"/webhookb2/", b"/incomingwebhook/"), rb"\.office\.com/webhookb?2?/[0-9a-f-]{36}@[0-9a-f-]{36}/IncomingWebhook/[0-9a-f]{32}/[0-9a-f-]{36}"),
        ("a bot's token of Telegram's", (b":aa",), rb"(?<![0-9])[0-9]{8,10}:AA[A-Za-z0-9_-]{33}" + _END),
        ("a key of Twilio's", (b"twilio",), rb"(?i:twilio)[^\0]{0,200}?" + _WORD + rb"SK[0-9a-f]{32}" + _END),
        ("a key of Mailchimp's", tuple(b"-us%d" % digit for digit in range(1, 10)), _WORD + rb"[0-9a-f]{32}-us[1-9][0-9]?" + _END),
        ("a token of Artifactory's", (b"akcp", b"cmvmdgtu"), _WORD + rb"(?:AKCp[A-Za-z0-9]{66,100}|cmVmdGtu[A-Za-z0-9]{56})" + _END),
        ("an API key of OpenAI's", (b"t3blbkfj",), _WORD + rb"sk-(?:proj-|svcacct-|admin-)?[A-Za-z0-9_-]{20,200}T3BlbkFJ[A-Za-z0-9_-]{20,200}"),
        ("an API key of Anthropic's", (b"sk-ant-",), _WORD + rb"sk-ant-[a-z0-9]{3,10}-[A-Za-z0-9_-]{80,120}"),
        ("an API key of Google's", (b"aiza",), _WORD + rb"AIza[0-9A-Za-z_-]{35}" + _END),
        ("a client secret of Google's", (b"gocspx-",), _WORD + rb"GOCSPX-[0-9A-Za-z_-]{28}" + _END),
        ("a service account of Google's", (b"\"service_account\"",), rb"\"type\"\s*:\s*\"service_account\"[^}]{0,4000}\"private_key\""),
        ("a key of Stripe's", (b"k_live_", b"whsec_"), _WORD + rb"(?:[sr]k_live_[0-9A-Za-z]{20,250}|whsec_[0-9A-Za-z+/]{32,64})" + _END),
        ("a token of Square's", (b"sq0",), _WORD + rb"sq0(?:atp-[0-9A-Za-z_-]{22}|csp-[0-9A-Za-z_-]{43})" + _END),
        ("a token of PyPI's", (b"pypi-age",), _WORD + rb"pypi-AgE[A-Za-z0-9_-]{50,1000}"),
        ("a token of npm's", (b"npm_",), _WORD + rb"npm_[A-Za-z0-9]{36}" + _END),
        ("a token of npm's", (b":_authtoken",), rb"//[^\s:]{1,200}/:_authToken\s*=\s*[^\s$]{8,400}"),
        ("a token of Docker Hub's", (b"dckr_",), _WORD + rb"dckr_(?:pat|oat)_[A-Za-z0-9_-]{27,64}" + _END),
        ("an account key of Azure's", (b"accountkey=",), rb"(?i)AccountKey=[A-Za-z0-9+/]{86}=="),
        ("a shared access signature of Azure's", (b"sv=20",), rb"[?&]sv=20[0-9]{2}-[0-9]{2}-[0-9]{2}&[^\s\"']{0,400}sig=[A-Za-z0-9%+/]{40,100}"),
        ("a token of Databricks'", (b"dapi",), _WORD + rb"dapi[0-9a-f]{32}(?:-[0-9])?" + _END),
        ("a token of DigitalOcean's", (b"_v1_",), _WORD + rb"do[opr]_v1_[0-9a-f]{64}" + _END),
        ("a token of SendGrid's", (b"sg.",), _WORD + rb"SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}" + _END),
        ("a token of HashiCorp's", (b"hvs.", b"hvb.", b".atlasv1."), _WORD + rb"(?:hv[sb]\.[A-Za-z0-9_-]{24,300}|[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{60,70})"),
        ("a token of Grafana's", (b"glsa_", b"glc_"), _WORD + rb"(?:glsa_[A-Za-z0-9]{32}_[0-9a-f]{8}|glc_[A-Za-z0-9+/]{32,400}={0,2})"),
        ("a token of Shopify's", (b"shp",), _WORD + rb"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}" + _END),
        ("a key of age's", (b"age-secret-key-1",), rb"AGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}"),
        ("a webhook of Teams'", (b".logic.azure.com", b".powerplatform.com"), rb"\.(?:logic\.azure|powerplatform)\.com(?::443)?/[^\s\"']{0,300}[?&]sig=[A-Za-z0-9_%-]{40,60}"),
        ("a bot's token of Discord's", (b"discord",), rb"(?i:discord)[^\0]{0,200}?" + _WORD + rb"[MNO][A-Za-z0-9_-]{23,25}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,38}" + _END),
        ("a key of Amazon Bedrock's", (b"absk",), _WORD + rb"ABSK[A-Za-z0-9+/]{109,269}={0,2}"),
        ("a client secret of Azure's", (b"7q~", b"8q~"), rb"(?<![A-Za-z0-9_~.-])[A-Za-z0-9_~.-]{3}[78]Q~[A-Za-z0-9_~.-]{31,34}(?![A-Za-z0-9_~.-])"),
        ("a token of Azure DevOps'", (b"azdo",), _WORD + rb"[A-Za-z0-9]{76}AZDO[A-Za-z0-9]{4}" + _END),
        ("a key of Mailgun's", (b"mailgun",), rb"(?i:mailgun)[^\0]{0,200}?" + _WORD + rb"key-[0-9a-f]{32}" + _END),
        ("a token of Atlassian's", (b"atatt3xff", b"atctt3xff", b"atbb"), _WORD + rb"(?:AT[AC]TT3xFf[A-Za-z0-9_-]{100,220}=[0-9A-F]{8}|ATBB[A-Za-z0-9]{28,32})" + _END),
        ("a token of Doppler's", (b"dp.",), _WORD + rb"dp\.(?:pt|st(?:\.[a-z0-9_-]{2,35})?|ct|sa|scim|audit)\.[A-Za-z0-9]{40,44}" + _END),
        ("a key of Linear's", (b"lin_api_",), _WORD + rb"lin_api_[A-Za-z0-9]{40}" + _END),
        ("a token of Notion's", (b"ntn_",), _WORD + rb"ntn_[A-Za-z0-9]{40,60}" + _END),
        ("a key of Postman's", (b"pmak-",), _WORD + rb"PMAK-[0-9a-f]{24}-[0-9a-f]{34}" + _END),
        ("a key of New Relic's", (b"nrak-", b"nrii-", b"nraa-"), _WORD + rb"NR(?:AK|II|AA)-[A-Za-z0-9_-]{27,32}" + _END),
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
        ("a token of Dynatrace's", (b"dt0c01.",), _WORD + rb"dt0c01\.[A-Z0-9]{24}\.[A-Z0-9]{64}" + _END),
        ("a key of Heroku's", (b"hrku-aa",), _WORD + rb"HRKU-AA[A-Za-z0-9_-]{58}" + _END),
        ("a token of Okta's", (b"ssws 00",), rb"SSWS 00[A-Za-z0-9_-]{40}" + _END),
        ("a registry login", (b"\"auth\"",), rb"\"auth\"\s*:\s*\"[A-Za-z0-9+/]{8,400}={0,2}\""),
        ("a login in a URL", (b"://",), rb"://(?<=[A-Za-z0-9]://)([^\s/:@\"'<>{}$\\?#]{0,64}):" + _NO_PASSWORD + rb"[^\s/:@\"'<>{}$]{5,128}@(?:[A-Za-z0-9][A-Za-z0-9_.-]{0,252}|\[[0-9a-fA-F:.]{2,45}\])(?=[:/?#\s\"'`,;)\\<\]]|$)"),
        (JWT, (b"eyj",), _WORD + rb"eyJ[A-Za-z0-9_-]{8,1000}\.eyJ[A-Za-z0-9_-]{4,8000}\.[A-Za-z0-9_-]{32,1000}" + _END),
    )
)  # fmt: skip
LONG = frozenset({JWT, "a service account of Google's", "a token of PyPI's"})
ESCAPED_MARKS = (
    b":\\/\\/", b"%3a%2f%2f", b"\\\"auth\\", b"\\\"service_account\\", b"-----begin%20", b"-----begin+", b"accountkey%3d", b"sv%3d20", b"%3aaa", b"%22auth%22",
    b"ls0tls1crudjti", b"ewogicj", b"ewoginj", b"ewoicj",
)  # fmt: skip
"""How marks begin in escaped texts (JSON in JSON, URLs), and how the base64 of keys and of JSON objects begins."""

_HIDDEN = (
    b"ghp_", b"gho_", b"ghs_", b"ghu_", b"ghr_", b"github_pat_", b"glpat-", b"glrt-", b"gldt-", b"xoxb-", b"xoxp-", b"xapp-", b"hooks.slack.com", b"/api/webhooks/", b"AKIA", b"ASIA", b"ACCA",
    b"aws_secret_access_key", b"AWS_SECRET_ACCESS_KEY", b"secretAccessKey", b"sk-ant-", b"sk-proj-", b"T3BlbkFJ", b"=hf_", b" hf_", b'"hf_', b":hf_", b"AIza", b"GOCSPX-", b"npm_", b"pypi-AgE",
    b"sk_live_", b"rk_live_", b"dckr_", b"SG.", b"dapi", b"hvs.", b"glsa_", b"shpat_", b"AKCp", b"AccountKey=", b"PRIVATE KEY-----", b"service_account",
    b"postgres://", b"postgresql", b"mysql://", b"mongodb", b"redis://", b"amqp://", b"https://", b"\"auth\"", b"gsk_", b"nvapi-", b"webhookb2/", b"eyJhbGci", b"eyJ0eXAi",
    b"glcbt-", b"glptt-", b"glft-", b"glsoat-", b"gloas-", b"glimt-", b"glagent-", b"glwt-", b"ABIA", b"ABSK", b"dop_v1_", b"doo_v1_", b"sq0atp-", b"sq0csp-", b"dp.pt.",
    b"dp.st.", b"lin_api_", b"ntn_", b"PMAK-", b"hvb.", b".atlasv1.", b"NRAK-", b"glc_", b"pplx-", b"wandb_v1_", b"lsv2_", b"sntrys_", b"sntryu_", b"pul-", b"pscale_",
    b"rubygems_", b"nfp_", b"fo1_", b"fm2_", b"sbp_", b"sb_secret_", b"figd_", b"ATATT3xFf", b"ATBB", b"dt0c01.", b"HRKU-", b"SSWS 00", b"AZDO", b"AGE-SECRET-KEY",
    b"sk-or-", b"pcsk_", b"xai-", b"api_org_",
)  # fmt: skip
"""The beginnings of secrets that are looked for in base64, where each reads in three ways."""


def _in_base64(text: bytes) -> Iterator[bytes]:
    """Yields what stands for sure in the base64 of anything that has a text in it: one form for each place that the text may begin at."""
    for before in range(3):
        whole = b64encode(bytes(before) + text)
        sure = whole[-(-before * 8 // 6) if before else 0 : (before + len(text)) * 8 // 6]
        if len(sure) >= 4:
            yield sure.lower()


BASE64_MARKS = tuple(dict.fromkeys(mark for each in _HIDDEN for mark in _in_base64(each)))
"""What stands in base64 in place of such a beginning, in small letters."""

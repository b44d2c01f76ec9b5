"""Counts what the gate for secrets finds and what it finds wrongly, over texts that are drawn by the published forms of secrets.

    python tools/measure_secrets.py [FOLDER]

Prints recall by kind and by the way in which a secret stands in a file, and the false alarms over lookalikes and over the files of FOLDER (the
packages of this Python, if none is given). docs/security.md has the figures.
"""

from __future__ import annotations

import json
import random
import string
import sys
import uuid
from base64 import b64encode, encodebytes, urlsafe_b64encode
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "builder"), str(ROOT / "layers")]

from modelcrate.security.scan.secrets import MAX_BYTES, find_marks, secrets_in, suspects, text_of  # noqa: E402

COUNT = 40
"""Secrets of each kind, and lookalikes of each."""

UPPER, LETTERS, ALNUM = string.ascii_uppercase, string.ascii_letters, string.ascii_letters + string.digits
HEX, WORD, BASE32, BASE64 = "0123456789abcdef", ALNUM + "_-", UPPER + "234567", ALNUM + "+/"
draw = random.Random(14)


def some(alphabet: str, count: int) -> str:
    return "".join(draw.choices(alphabet, k=count))


def private_key(kind: str) -> str:
    lines = "\n".join(some(BASE64, 64) for _ in range(6))
    return f"-----BEGIN {kind}PRIVATE KEY-----\n{lines}\n-----END {kind}PRIVATE KEY-----\n"


def token(expires: int) -> str:
    parts = [
        json.dumps(each).encode() for each in ({"alg": "HS256", "typ": "JWT"}, {"sub": some(ALNUM, 8), "exp": expires})
    ]
    return ".".join([*(urlsafe_b64encode(each).rstrip(b"=").decode() for each in parts), some(WORD, 43)])


def guid() -> str:
    return str(uuid.UUID(int=draw.getrandbits(128)))


KINDS: dict[str, Callable[[], str]] = {
    "private key": lambda: private_key(draw.choice(("", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED "))),
    "AWS access key": lambda: draw.choice(("AKIA", "ASIA", "ABIA", "ACCA", "A3T" + draw.choice(UPPER))) + some(BASE32, 16),
    "AWS secret key": lambda: f"aws_secret_access_key = {some(BASE64, 40)}",
    "GitHub": lambda: draw.choice(("ghp_", "gho_", "ghu_", "ghs_", "ghr_")) + some(ALNUM, 36),
    "GitHub, fine-grained": lambda: f"github_pat_{some(ALNUM, 22)}_{some(ALNUM, 59)}",
    "GitHub, stateless": lambda: f"ghs_{some('123456789', 7)}_{token(4_000_000_000)}",
    "GitLab": lambda: f"gl{draw.choice(('pat', 'dt', 'rt', 'ptt', 'ft', 'soat', 'imt', 'agent', 'oas'))}-{some(WORD, 20)}",
    "GitLab, routable": lambda: f"glpat-{some(WORD, 27)}.{some(HEX, 2)}.{some(HEX, 9)}",
    "Hugging Face": lambda: f"hf_{some(LETTERS, 34)}",
    "Slack token": lambda: f"xoxb-{some(string.digits, 12)}-{some(string.digits, 12)}-{some(ALNUM, 24)}",
    "Slack webhook": lambda: f"https://hooks.slack.com/services/T{some(UPPER, 8)}/B{some(UPPER, 8)}/{some(ALNUM, 24)}",
    "Discord webhook": lambda: f"https://discord.com/api/webhooks/{some('123456789', 18)}/{some(WORD, 68)}",
    "Teams webhook": lambda: f"https://acme.webhook.office.com/webhookb2/{guid()}@{guid()}/IncomingWebhook/{some(HEX, 32)}/{guid()}",
    "Telegram": lambda: f"{some('123456789', 10)}:AA{some(WORD, 32)}{draw.choice(ALNUM)}",
    "DeepSeek": lambda: f'OpenAI(api_key="sk-{some(HEX, 32)}", base_url="https://api.deepseek.com")',
    "ElevenLabs": lambda: f"ELEVENLABS_API_KEY=sk_{some(HEX, 48)}",
    "Mistral": lambda: f"MISTRAL_API_KEY={some(ALNUM, 32)}",
    "Cohere": lambda: f"COHERE_API_KEY={some(ALNUM, 40)}",
    "Weights & Biases, old": lambda: f"WANDB_API_KEY={some(HEX, 40)}",
    "AssemblyAI": lambda: f"ASSEMBLYAI_API_KEY={some(HEX, 32)}",
    "Deepgram": lambda: f"DEEPGRAM_API_KEY={some(HEX, 40)}",
    "Alibaba Cloud": lambda: f"DASHSCOPE_API_KEY=sk-{some(HEX, 32)}",
    "Moonshot": lambda: f"MOONSHOT_API_KEY=sk-{some(ALNUM, 48)}",
    "Voyage": lambda: f"VOYAGE_API_KEY=pa-{some(WORD, 42)}{draw.choice(ALNUM)}",
    "Fireworks": lambda: f"FIREWORKS_API_KEY=fw_{some(ALNUM, 22)}",
    "Twilio": lambda: f"TWILIO_API_KEY=SK{some(HEX, 32)}",
    "Mailchimp": lambda: f"{some(HEX, 32)}-us{draw.randrange(1, 22)}",
    "Artifactory": lambda: f"AKCp{some(ALNUM, 69)}",
    "OpenAI": lambda: f"sk-proj-{some(ALNUM, 40)}T3BlbkFJ{some(ALNUM, 40)}",
    "Anthropic": lambda: f"sk-ant-api03-{some(WORD, 93)}AA",
    "Google API key": lambda: f"AIza{some(WORD, 34)}{draw.choice(ALNUM)}",
    "Google auth key": lambda: f"AQ.Ab{some(WORD, 47)}{draw.choice(ALNUM)}",
    "Google refresh token": lambda: f"1//0{some(WORD, 95)}{draw.choice(ALNUM)}",
    "Stripe": lambda: f"{draw.choice('sr')}k_live_{some(ALNUM, 24)}",
    "Square": lambda: f"sq0csp-{some(WORD, 42)}{draw.choice(ALNUM)}",
    "PyPI": lambda: f"pypi-AgEIcHlwaS5vcmc{some(WORD, 120)}",
    "npm": lambda: f"npm_{some(ALNUM, 36)}",
    "npm login": lambda: f"//registry.example/:_auth={b64encode(f'bob:{some(ALNUM, 12)}'.encode()).decode()}",
    "Docker Hub": lambda: f"dckr_pat_{some(WORD, 26)}{draw.choice(ALNUM)}",
    "Azure storage": lambda: f"AccountKey={some(BASE64, 86)}==",
    "Azure, identifiable": lambda: f"{some(ALNUM, 52)}JQQJ99{some(ALNUM, 26)}",
    "Azure bus": lambda: f"SharedAccessKey={some(BASE64, 43)}=",
    "Databricks": lambda: f"dapi{some(HEX, 32)}",
    "SendGrid": lambda: f"SG.{some(WORD, 22)}.{some(WORD, 42)}{draw.choice(ALNUM)}",
    "Vault": lambda: f"hvs.{some(WORD, 95)}",
    "Grafana": lambda: f"glsa_{some(ALNUM, 32)}_{some(HEX, 8)}",
    "Amazon Bedrock": lambda: f"ABSK{some(BASE64, 128)}",
    "Azure client secret": lambda: f"{some(ALNUM, 3)}8Q~{some(ALNUM, 34)}",
    "Atlassian": lambda: f"ATATT3xFfGF0{some(WORD, 175)}{draw.choice(ALNUM)}={some(HEX, 8).upper()}",
    "Doppler": lambda: f"dp.pt.{some(ALNUM, 43)}",
    "Figma": lambda: f"figd_{some(WORD, 39)}{draw.choice(ALNUM)}",
    "Fly": lambda: f"fo1_{some(WORD, 42)}{draw.choice(ALNUM)}",
    "Groq": lambda: f"gsk_{some(ALNUM, 52)}",
    "Heroku": lambda: f"HRKU-AA{some(WORD, 57)}{draw.choice(ALNUM)}",
    "LangSmith": lambda: f"lsv2_pt_{some(HEX, 32)}_{some(HEX, 10)}",
    "Linear": lambda: f"lin_api_{some(ALNUM, 40)}",
    "Netlify": lambda: f"nfp_{some(ALNUM, 36)}",
    "New Relic": lambda: f"NRAK-{some(UPPER + string.digits, 27)}",
    "Notion": lambda: f"ntn_{some(ALNUM, 46)}",
    "NVIDIA": lambda: f"nvapi-{some(WORD, 63)}{draw.choice(ALNUM)}",
    "OpenRouter": lambda: f"sk-or-v1-{some(HEX, 64)}",
    "Perplexity": lambda: f"pplx-{some(ALNUM, 48)}",
    "PlanetScale": lambda: f"pscale_tkn_{some(WORD, 43)}",
    "Postman": lambda: f"PMAK-{some(HEX, 24)}-{some(HEX, 34)}",
    "Pulumi": lambda: f"pul-{some(HEX, 40)}",
    "RubyGems": lambda: f"rubygems_{some(HEX, 48)}",
    "Sentry": lambda: f"sntryu_{some(HEX, 64)}",
    "Supabase": lambda: f"sbp_{some(HEX, 40)}",
    "Teams workflow": lambda: f"https://prod-12.westeurope.logic.azure.com:443/workflows/{some(HEX, 32)}/triggers/manual/paths/invoke?sv=1.0&sig={some(ALNUM, 43)}",
    "login in a URL": lambda: f"{draw.choice(('postgres', 'https', 'amqp', 'redis'))}://{draw.choice(('app', 'bob', ''))}:{some(ALNUM, 14)}@"
    + draw.choice(("db.example.com/x", "10.1.2.3:5432", "localhost:5432/x", "[fe80::1]:80/", "db/x")),
    "Bedrock, short": lambda: f"bedrock-api-key-YmVkcm9jay5hbWF6b25hd3MuY29t{some(BASE64, 300)}",
    "Cloudflare": lambda: f"cf{draw.choice(('k', 'ut', 'at'))}_{some(ALNUM, 40)}{some(HEX, 8)}",
    "Vercel": lambda: f"vc{draw.choice('pciark')}_{some(WORD, 50)}{some(ALNUM, 6)}",
    "Together": lambda: f"tgp_v1_{some(WORD, 42)}{draw.choice(ALNUM)}",
    "Cerebras": lambda: f"csk-{some(LETTERS.lower() + string.digits, 48)}",
    "Tavily": lambda: f"tvly-{draw.choice(('', 'dev-'))}{some(ALNUM, 32)}",
    "Jina": lambda: f"jina_{some(HEX, 32)}{some(ALNUM, 28)}",
    "LlamaCloud": lambda: f"llx-{some(ALNUM, 48)}",
    "Langfuse": lambda: f"sk-lf-{guid()}",
    "Kaggle": lambda: f"KGAT_{some(HEX, 32)}",
    "RunPod": lambda: f"rpa_{some(ALNUM, 42)}",
    "Tailscale": lambda: f"tskey-auth-{some(ALNUM, 11)}CNTRL-{some(ALNUM, 32)}",
    "CircleCI": lambda: f"CCIPAT_{some(ALNUM, 22)}_{some(HEX, 40)}",
    "Buildkite": lambda: f"bkua_{some(HEX, 40)}",
    "SonarQube": lambda: f"sq{draw.choice('pua')}_{some(HEX, 40)}",
    "1Password": lambda: f"ops_eyJ{some(ALNUM, 400)}",
    "Brevo": lambda: f"xkeysib-{some(HEX, 64)}-{some(ALNUM, 16)}",
    "Prefect": lambda: f"pnu_{some(ALNUM, 36)}",
    "PostHog": lambda: f"phx_{some(ALNUM, 43)}",
    "Sourcegraph": lambda: f"sgp_{some(HEX, 16)}_{some(HEX, 40)}",
    "MongoDB Atlas": lambda: f"mdb_sa_sk_{some(ALNUM, 40)}",
    "OpenShift": lambda: f"sha256~{some(WORD, 43)}",
    "Neon": lambda: f"napi_{some(LETTERS.lower() + string.digits, 64)}",
    "PuTTY key": lambda: f"PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\nPrivate-Lines: 1\n{some(BASE64, 48)}\n",
    "JWK": lambda: json.dumps({"kty": "OKP", "crv": "Ed25519", "x": some(WORD, 43), "d": some(WORD, 43)}),
    "WireGuard": lambda: f"[Interface]\nPrivateKey = {some(BASE64, 43)}=\n",
    "age, post-quantum": lambda: f"AGE-SECRET-KEY-PQ-1{some('QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L', 58)}",
    "registry login": lambda: json.dumps({"auths": {"r": {"auth": b64encode(f"bob:{some(ALNUM, 12)}".encode()).decode()}}}),
    "JWT": lambda: token(4_000_000_000),
}  # fmt: skip
PLACES: dict[str, Callable[[str], str]] = {
    "alone": lambda text: text,
    "in Python": lambda text: f"import os\n\nVALUE = {text!r}\n",
    "in JSON": lambda text: json.dumps({"name": "x", "value": text}, indent=2),
    "in JSON in JSON": lambda text: json.dumps({"config": json.dumps({"value": text})}),
    "in PHP's JSON": lambda text: json.dumps({"value": text}).replace("/", "\\/"),
    "in a notebook": lambda text: json.dumps({"cells": [{"source": [f'key = "{text}"\n'], "cell_type": "code"}]}),
    "in a URL": lambda text: f"curl 'https://x.example.com/?q={quote(text, safe='')}'",
    "in base64": lambda text: (
        f"data:\n  config: {b64encode((json.dumps({'auths': 1, 'value': text}, indent=2)).encode()).decode()}\n"
    ),
}
PLACES |= {
    "in base64 of variables": lambda text: b64encode(f"TOKEN={text}\n".encode()).decode(),
    "in base64 in lines": lambda text: encodebytes(
        f"# {'settings' * draw.randrange(12)}{'.' * draw.randrange(8)}\ntoken: {text}\nmore: z\n".encode()
    ).decode(),
    "in base64 for URLs": lambda text: urlsafe_b64encode(f"{'~' * draw.randrange(3)}?{text}?\u00e9".encode()).decode(),
    "in base64, alone": lambda text: b64encode(text.encode()).decode(),
    "in base64, in YAML": lambda text: (
        "key: |\n"
        + "".join(
            f"    {line}\n" for line in encodebytes(f"{'#' * draw.randrange(60)}\n{text}\n".encode()).decode().split()
        )
    ),
    "in base64, in a row": lambda text: (
        f"name=x;data={b64encode(bytes(draw.randrange(40)) + text.encode() + b' ').decode()};"
    ),
}
LOOKALIKES: dict[str, Callable[[], str]] = {
    "UUIDs": guid,
    "hashes": lambda: some(HEX, draw.choice((32, 40, 64))),
    "base64": lambda: b64encode(draw.randbytes(400)).decode(),
    "examples of documents": lambda: draw.choice(("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "ghp_" + "x" * 36, "sk_live_" + "0" * 24,
                                                  "hf_" + "x" * 34, "glpat-" + "x" * 20, "AKIA" + "X" * 16)),
    "URLs without a login": lambda: draw.choice(("https://example.com:8080/a@b", "postgres://user:password@localhost/x", "https://x:x@example.com", "mailto:a@b.example",
                                                 "postgres://postgres:postgres@localhost/db", "https://user:***@x.example.com", "redis://:${PASSWORD}@redis:6379/0")),
    "certificates": lambda: f"-----BEGIN CERTIFICATE-----\n{some(BASE64, 64)}\n-----END CERTIFICATE-----",
    "public keys": lambda: f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{some(BASE64, 43)} a@b",
    "mentions of keys": lambda: draw.choice(("-----BEGIN PRIVATE KEY-----", "if text.startswith('-----BEGIN RSA PRIVATE KEY-----'):", "use AWS_SECRET_ACCESS_KEY from the environment")),
    "expired JWTs": lambda: token(1_600_000_000),
    "package hashes": lambda: f"sha512-{b64encode(draw.randbytes(64)).decode()}",
}  # fmt: skip


def main(folder: Path) -> None:
    by_place: Counter[str] = Counter()
    missed: Counter[tuple[str, str]] = Counter()
    for kind, make in KINDS.items():
        for place, put in PLACES.items():
            for _ in range(COUNT):
                if found(put(make())):
                    by_place[place] += 1
                else:
                    missed[kind, place] += 1
    total = len(KINDS) * COUNT
    for place in PLACES:
        print(f"{place:20} {by_place[place] / total:7.1%}")
    print(f"{'all':20} {sum(by_place.values()) / total / len(PLACES):7.1%} of {total * len(PLACES)}")
    for (kind, place), count in sorted(missed.items()):
        print(f"missed {count:3} of {COUNT}: {kind}, {place}")
    for kind, make in LOOKALIKES.items():
        print(f"false alarms, {kind}: {sum(found(make()) for _ in range(COUNT * 10))} of {COUNT * 10}")
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.stat().st_size < MAX_BYTES]
    alarms = [(path, each) for path in files for each in secrets_in(path.name, path.read_bytes())]
    print(f"alarms in {len(files)} files of packages: {len(alarms)} in {len({path for path, _ in alarms})} files")
    for path, each in alarms[:40]:
        print("  ", path.relative_to(folder), each.line, each.kind)


def found(text: str) -> bool:
    data = text.encode()
    text = text_of(data)
    return bool(suspects(["a.txt"], [text], find_marks([text]))) and bool(secrets_in("a.txt", data))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else Path(json.__file__).parents[1])

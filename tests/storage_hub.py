"""Server of files by ranges, which are Hugging Face data sets as well: read only."""

import hashlib
import http.server
import json
import re
import urllib.parse
from pathlib import Path


class HubHandler(http.server.BaseHTTPRequestHandler):
    """What huggingface_hub asks for: a repository, its tree, paths in it, and files by ranges."""

    protocol_version = "HTTP/1.1"
    root: Path

    def log_message(self, format: str, *arguments: object) -> None:
        pass

    def do_GET(self) -> None:
        path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path).strip("/")
        if match := re.fullmatch(r"api/datasets/owner/([^/]+)(?:/revision/[^/]+)?", path):
            if (self.root / match[1]).is_dir():
                siblings = [{"rfilename": name} for name in self._names(match[1])]
                self._json({"id": f"owner/{match[1]}", "sha": "0" * 40, "siblings": siblings})
                return
        elif match := re.fullmatch(r"api/datasets/owner/([^/]+)/tree/[^/]+(?:/(.*))?", path):
            folder = self.root / match[1] / (match[2] or "")
            if folder.is_dir():
                found = (
                    folder.rglob("*") if "recursive=true" in self.path.lower() else folder.glob("*")
                )
                self._json([self._entry(match[1], each) for each in sorted(found)])
                return
        elif match := re.fullmatch(r"datasets/owner/([^/]+)/resolve/[^/]+/(.+)", path):
            self._file(self.root / match[1] / match[2])
            return
        else:
            self._file(self.root / path)
            return
        self._missing()

    do_HEAD = do_GET  # noqa: N815

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length).decode()
        match = re.fullmatch(r"/api/datasets/owner/([^/]+)/paths-info/[^/]+", self.path)
        if match is None:
            self._missing()
            return
        if "json" in self.headers.get("Content-Type", ""):
            paths = json.loads(body)["paths"]
        else:
            paths = urllib.parse.parse_qs(body)["paths"]
        found = [self.root / match[1] / path for path in paths]
        self._json([self._entry(match[1], each) for each in found if each.exists()])

    def _names(self, bucket: str) -> list[str]:
        folder = self.root / bucket
        return sorted(str(each.relative_to(folder)) for each in folder.rglob("*") if each.is_file())

    def _entry(self, bucket: str, path: Path) -> dict[str, object]:
        name = str(path.relative_to(self.root / bucket))
        if path.is_dir():
            return {"type": "directory", "path": name, "oid": "0" * 40, "size": 0}
        oid = hashlib.sha1(path.read_bytes()).hexdigest()
        return {"type": "file", "path": name, "oid": oid, "size": path.stat().st_size}

    def _file(self, path: Path) -> None:
        if not path.is_file():
            self._missing()
            return
        content = path.read_bytes()
        start, stop, status = 0, len(content), 200
        if match := re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", "")):
            first, last = match.groups()
            if first:
                start = int(first)
                stop = min(len(content), int(last) + 1) if last else len(content)
            else:
                start = max(0, len(content) - int(last))
            if start >= stop:
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            status = 206
        self.send_response(status)
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(content)}")
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", "0" * 40)
        self.send_header("Content-Length", str(stop - start))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[start:stop])

    def _json(self, value: object) -> None:
        content = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _missing(self) -> None:
        self.send_response(404)
        self.send_header("X-Error-Code", "EntryNotFound")
        self.send_header("Content-Length", "0")
        self.end_headers()

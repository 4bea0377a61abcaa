"""AWS's price endpoints on loopback, which moto does not have: the pricing service, the public
files of offers and of savings plans, and Spot Advisor's data; and EC2's spot prices, of which moto
has one for all.
"""

from __future__ import annotations

import gzip
import json
import threading
from collections import deque
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

DATA = Path(__file__).parent / "data" / "price_list"
PAGE = 3
DESCRIBED = (
    *("g5.xlarge", "g6f.large", "inf2.xlarge", "m5.xlarge", "m7g.large", "p4d.24xlarge"),
    *("t3.medium", "mac1.metal", "m5.metal"),
)
OFFER = "/offers/v1.0/aws/AmazonSageMaker/20260920025606/us-east-1/index.json"
ELB_OFFER = "/offers/v1.0/aws/AWSELB/20260920025606/us-east-1/index.json"
PLANS = "/savingsPlan/v1.0/aws/AWSMachineLearningSavingsPlans/20261112002652/us-east-1/index.json"
PLANS_INDEX = "/savingsPlan/v1.0/aws/AWSMachineLearningSavingsPlans/current/region_index.json"
EC2_OFFER = "/offers/v1.0/aws/AmazonEC2/20260920025606/us-east-1/index.json"


def listed(*names):
    """Items of get_products fixtures, as dicts."""
    files = [DATA / f"get_products_{name}.json" for name in names]
    return [
        json.loads(item) for file in files for item in json.loads(file.read_text())["PriceList"]
    ]


def everything_listed():
    of_sagemaker = ("sagemaker_ml_instance", "sagemaker_serverless", "sagemaker_storage_data")
    return listed(*of_sagemaker, "ec2", "elb")


def offer_of(items, published="2026-11-20"):
    """An offer file of these items: all products, then all on-demand terms, then the reserved."""
    return {
        "formatVersion": "v1.0",
        "publicationDate": f"{published}T02:56:06Z",
        "products": {item["product"]["sku"]: item["product"] for item in items},
        "terms": {
            "OnDemand": {item["product"]["sku"]: item["terms"]["OnDemand"] for item in items},
            "Reserved": {},
        },
    }


class PriceServer:
    """faults: what is answered next, (status, code or body) each; None is the right answer."""

    def __init__(self):
        self.items = everything_listed()
        self.published = "2026-11-20"
        self.files = {}
        self.spot = []
        self.faults = deque()
        self.asked = []
        self.cut_at_bytes = None
        self.gzipped = False
        self.serve_offers()
        self.serve_plans()
        self.serve_advice()

    def serve_offers(self):
        """The offer files of us-east-1, of the items listed now."""
        offers = {"AmazonSageMaker": OFFER, "AmazonEC2": EC2_OFFER, "AWSELB": ELB_OFFER}
        for service, path in offers.items():
            index = {"regions": {"us-east-1": {"currentVersionUrl": path}}}
            items = [item for item in self.items if item["serviceCode"] == service]
            self.serve(f"/offers/v1.0/aws/{service}/current/region_index.json", index)
            self.serve(path, offer_of(items, self.published))

    def serve_plans(self):
        self.files[PLANS_INDEX] = (DATA / "savings_plans_region_index.json").read_bytes()
        self.files[PLANS] = (DATA / "savings_plans_us-east-1.json").read_bytes()

    def serve_advice(self):
        told = json.loads((DATA / "spot_advisor_sample.json").read_text())
        self.serve("/spot-advisor-data.json", told)

    def serve(self, path, content):
        self.files[path] = json.dumps(content).encode()

    def products(self, request):
        """Items that fit all filters, a page at a time."""
        wanted = {each["Field"]: each["Value"] for each in request["Filters"]}
        assert {each["Type"] for each in request["Filters"]} == {"TERM_MATCH"}
        fitting = [item for item in self.items if _fits(item, request["ServiceCode"], wanted)]
        start = int(request.get("NextToken", "0"))
        page = [
            json.dumps({**item, "publicationDate": f"{self.published}T02:56:06Z"})
            if isinstance(item, dict)
            else item
            for item in fitting[start : start + PAGE]
        ]
        answer = {"FormatVersion": "aws_v1", "PriceList": page}
        if start + PAGE < len(fitting):
            answer["NextToken"] = str(start + PAGE)
        return answer


@contextmanager
def price_server():
    state = PriceServer()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads, server.state = True, state
    server.handle_error = lambda *_: None  # clients hang up when they have enough
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    state.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def moto_ec2():
    """EC2 by moto, with few of its machines: all of them take seconds, as does its import."""
    moto_types = import_module("moto.ec2.models.instance_types")
    with pytest.MonkeyPatch.context() as patch:
        told = {name: moto_types.INSTANCE_TYPES[name] for name in DESCRIBED}
        told["g4ad.xlarge"] = _with_gpu(told["g5.xlarge"], "g4ad.xlarge", "AMD", "Radeon Pro V520")
        told["dl1.xlarge"] = _with_gpu(told["g5.xlarge"], "dl1.xlarge", "Habana", "Gaudi HL-205")
        patch.setattr(moto_types, "INSTANCE_TYPES", told)
        machines = [moto_types.InstanceType(name) for name in told]
        patch.setattr(moto_types.InstanceTypeBackend, "instance_types", machines)
        by_zone = moto_types.INSTANCE_TYPE_OFFERINGS["availability-zone"]
        offered = [each for each in by_zone["us-east-1"] if each["InstanceType"] in DESCRIBED]
        patch.setitem(by_zone, "us-east-1", offered)
        server = import_module("moto.server").ThreadedMotoServer(
            ip_address="127.0.0.1", port=0, verbose=False
        )
        server.start()
        host, port = server.get_host_and_port()
        try:
            yield f"http://{host}:{port}"
        finally:
            server.stop()


def _with_gpu(told, name, maker, model):
    """As EC2 describes machines that moto does not have."""
    gpu = {**told["GpuInfo"]["Gpus"][0], "Manufacturer": maker, "Name": model}
    return {**told, "InstanceType": name, "GpuInfo": {**told["GpuInfo"], "Gpus": [gpu]}}


def _fits(item, service, wanted):
    if isinstance(item, str):
        return service == "AmazonSageMaker"
    told = {"productFamily": item["product"]["productFamily"], **item["product"]["attributes"]}
    return item["serviceCode"] == service and all(
        told.get(field) == value for field, value in wanted.items()
    )


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        state = self.server.state
        path = urlsplit(self.path).path
        state.asked.append(path)
        fault = state.faults.popleft() if state.faults else None
        if fault is not None:
            self.answer(fault[0], fault[1].encode())
        elif path in state.files:
            self.file(state.files[path])
        else:
            self.answer(404, b"no such file")

    def do_POST(self):
        state = self.server.state
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        target = self.headers.get("X-Amz-Target")
        state.asked.append(target or parse_qs(body)["Action"][0])
        fault = state.faults.popleft() if state.faults else None
        if fault is not None and target is None:
            errors = f"<Errors><Error><Code>{fault[1]}</Code></Error></Errors>"
            self.answer(fault[0], f"<Response>{errors}</Response>".encode())
        elif fault is not None:
            self.json(fault[0], {"__type": fault[1], "message": f"{fault[1]} for the test"})
        elif target == "AWSPriceListService.GetProducts":
            assert self.headers["Content-Type"] == "application/x-amz-json-1.1"
            self.json(200, state.products(json.loads(body)))
        else:
            self.spot_prices(parse_qs(body))

    def spot_prices(self, asked):
        state = self.server.state
        assert asked["Action"] == ["DescribeSpotPriceHistory"]
        assert "StartTime" in asked
        start = int(asked.get("NextToken", ["0"])[0])
        rows = "".join(map(_quoted, state.spot[start : start + PAGE]))
        more = str(start + PAGE) if start + PAGE < len(state.spot) else ""
        self.answer(
            200,
            '<DescribeSpotPriceHistoryResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">'
            f"<spotPriceHistorySet>{rows}</spotPriceHistorySet><nextToken>{more}</nextToken>"
            "</DescribeSpotPriceHistoryResponse>".encode(),
        )

    def file(self, content):
        state = self.server.state
        body = gzip.compress(content) if state.gzipped else content
        headers = {"Last-Modified": "Thu, 19 Nov 2026 10:00:00 GMT"}
        if state.gzipped:
            headers["Content-Encoding"] = "gzip"
        self.answer(200, body, headers)

    def json(self, status, content):
        headers = {"Content-Type": "application/x-amz-json-1.1"}
        self.answer(status, json.dumps(content).encode(), headers)

    def answer(self, status, body, headers=()):
        """Its length is that of the whole even where it is cut."""
        state = self.server.state
        self.send_response(status)
        for name, value in dict(headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: state.cut_at_bytes])
        if state.cut_at_bytes is not None:
            self.close_connection = True

    def log_message(self, *_):
        pass


def _quoted(row):
    name, zone, usd = row[:3]
    system = row[3] if len(row) > 3 else "Linux/UNIX"
    return (
        f"<item><instanceType>{name}</instanceType><productDescription>{system}"
        f"</productDescription><spotPrice>{usd}</spotPrice>"
        "<timestamp>2026-11-20T00:00:00.000Z</timestamp>"
        f"<availabilityZone>{zone}</availabilityZone></item>"
    )

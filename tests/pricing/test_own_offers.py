"""A user's own CSV of machines: read whole, or refused with the line and what would be right."""

from datetime import date
from decimal import Decimal

import pytest

from pricing import (
    AcceleratorKind,
    Architecture,
    BadOwnOffer,
    Platform,
    PriceBasis,
    Purchase,
)
from pricing.sources import Hourly, PriceSource
from pricing.sources.own_offers import OPTIONAL, REQUIRED, OwnOffers

TODAY = date(2026, 11, 21)
HEAD = "name,usd_per_hour,vcpus,memory_gib,architecture"
RACK = "rack,0.031,8,32,x86_64"


@pytest.fixture
def read(tmp_path):
    def machines(text):
        file = tmp_path / "my_machines.csv"
        file.write_text(text, encoding="utf-8")
        return OwnOffers(file, TODAY).machines

    return machines


def test_the_required_columns_make_a_machine_and_its_offer(read):
    (rack,) = read(f"{HEAD}\n{RACK}\n")
    offer = rack.offer("eu-west-1")
    assert (offer.platform, offer.purchase) == (Platform.OWN, Purchase.ON_DEMAND)
    assert (offer.name, offer.usd_per_hour) == ("rack", Decimal("0.031"))
    assert (offer.region, offer.observed_on, offer.machines) == ("eu-west-1", TODAY, None)
    assert (offer.basis, offer.source) == (PriceBasis.REPORTED, "my_machines.csv, line 2")
    machine = offer.instance
    assert (machine.vcpus, machine.memory_gib) == (8, 32)
    assert machine.cpu.architecture is Architecture.X86_64
    assert (machine.cpu.silicon, machine.physical_cores, machine.accelerators) == (None, None, ())
    assert machine.provider == "own"


def test_everything_that_can_be_said_is_kept(read):
    columns = ",".join((*REQUIRED, *OPTIONAL))
    cells = (
        "gpu-box,0.9,16,64,x86_64,2,hetzner,8,AMD EPYC 7443P,Zen3,2.85,"
        "gpu,NVIDIA L4,2,44.7,10,2026-10-01,rented"
    )
    (box,) = read(f"{columns}\n{cells}\n")
    machine, offer = box.instance, box.offer("us-east-1")
    assert (machine.provider, machine.physical_cores, machine.network_gbps) == ("hetzner", 8, 10)
    assert (machine.cpu.silicon, machine.cpu.clock_ghz) == ("Zen3", 2.85)
    accelerator = machine.accelerator
    assert (accelerator.kind, accelerator.model) == (AcceleratorKind.GPU, "NVIDIA L4")
    assert (accelerator.count, accelerator.memory_gib) == (2, 44.7)
    assert (offer.machines, offer.note, offer.observed_on) == (2, "rented", date(2026, 10, 1))


def test_columns_stand_in_any_order_and_blank_lines_do_not_count(read):
    text = "architecture,name,vcpus,usd_per_hour,memory_gib\n\narm64,pi,4,0.01,8\n\n"
    (pi,) = read("\ufeff" + text)
    assert (pi.name, pi.vcpus, pi.architecture) == ("pi", 4, "arm64")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", r"line 1: name, usd_per_hour, vcpus, memory_gib, architecture missing"),
        (f"{HEAD}\n", "names no machine"),
        (
            f"{HEAD},usd_per_hours\n{RACK},1\n",
            "no column is called 'usd_per_hours'; did you mean usd_per_hour",
        ),
        (f"{HEAD},memory\n{RACK},1\n", "no column is called 'memory'; did you mean memory_gib"),
        (f"{HEAD},name\n{RACK},x\n", "column name is there more than once"),
        ("name,vcpus\nrack,8\n", "line 1: usd_per_hour, memory_gib, architecture missing"),
        (f"{HEAD}\n{RACK}\nshort,1\n", "line 3: 2 cells; the first line names 5 columns"),
        (f"{HEAD}\nrack,free,8,32,x86_64\n", "line 2: usd_per_hour is 'free'"),
        (f"{HEAD}\nrack,0,8,32,x86_64\n", "line 2: usd_per_hour is '0'"),
        (f"{HEAD}\nrack,-1,8,32,x86_64\n", "line 2: usd_per_hour is '-1'"),
        (f"{HEAD}\nrack,NaN,8,32,x86_64\n", "line 2: usd_per_hour is 'NaN'"),
        (f"{HEAD}\nrack,1,2.5,32,x86_64\n", "line 2: vcpus is '2.5'"),
        (f"{HEAD}\nrack,1,8,32,x86\n", "line 2: architecture is 'x86'"),
        (f"{HEAD}\nrack,1,8,,x86_64\n", "line 2: memory_gib is empty"),
        (f"{HEAD},silicon\n{RACK},Zen9\n", "line 2: silicon is 'Zen9'; known: "),
        (f"{HEAD},physical_cores\n{RACK},16\n", "line 2: 16 physical cores carry 8 vCPUs"),
        (f"{HEAD},observed_on\n{RACK},yesterday\n", "line 2: observed_on is 'yesterday'"),
        (
            f"{HEAD},accelerator_model\n{RACK},NVIDIA L4\n",
            "line 2: an accelerator has accelerator_model and accelerator_memory_gib",
        ),
        (f"{HEAD}\n{RACK}\n{RACK}\n", "line 2: rack is there more than once"),
        (f'{HEAD}\n"rack,0.031\n', "cannot be read"),
    ],
)
def test_what_cannot_be_right_is_refused_with_its_line(read, text, said):
    with pytest.raises(BadOwnOffer) as raised:
        read(text)
    assert said in str(raised.value)
    assert raised.value.exit_code == 2


def test_a_file_that_is_no_text_is_refused(tmp_path):
    file = tmp_path / "picture.csv"
    file.write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(BadOwnOffer, match="cannot be read"):
        _ = OwnOffers(file, TODAY).machines


def test_it_is_a_source_like_any_other(tmp_path):
    file = tmp_path / "my_machines.csv"
    file.write_text(f"{HEAD}\n{RACK}\n")
    source: PriceSource = OwnOffers(file, TODAY)
    said = []
    seen = source.seen("us-east-1", said.append)
    (price,), (machine,) = seen.prices, seen.machines
    assert price.what == Hourly("rack", Platform.OWN, Purchase.ON_DEMAND)
    assert (price.usd, price.region) == (Decimal("0.031"), "us-east-1")
    assert machine.name == "rack"
    assert (source.name, source.identity) == ("own", str(file))
    assert said

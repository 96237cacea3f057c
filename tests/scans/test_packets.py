"""Captures of Ouster and Velodyne packets; real ones equal what the makers' own tools give."""

import json
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lidarpan.scans.packets.ouster import assemble_frames, frame_fields
from lidarpan.scans.packets.ouster_info import PROFILES, find_info, read_info
from lidarpan.scans.packets.pcap import read_datagrams
from lidarpan.scans.sources import open_recording, open_sources
from lidarpan.structures import InputError

START_NS = 1_700_000_000_123_456_000


def metadata(profile="RNG19_RFL8_SIG16_NIR16", height=16, width=64, columns=8, **more):
    layout = {
        "columns_per_frame": width, "columns_per_packet": columns, "pixels_per_column": height,
        "udp_profile_lidar": profile, **more,
    }  # fmt: skip
    return json.dumps(
        {
            "prod_line": "OS-1-16",
            "lidar_mode": f"{width}x10",
            "beam_altitude_angles": np.linspace(20, -20, height).tolist(),
            "beam_azimuth_angles": np.tile([3.0, -3.0], height // 2).tolist(),
            "lidar_origin_to_beam_origin_mm": 15.8,
            "lidar_to_sensor_transform": [-1, 0, 0, 0, 0, -1, 0, 0, 0, 0, 1, 36.18, 0, 0, 0, 1],
            "data_format": layout,
        }
    )


def ouster_packets(info, num_frames=2, seed=0, first=65534):
    """Packets as bytes, pixel after pixel by struct, and the ranges and reflectivities in them."""
    rng = np.random.default_rng(seed)
    profile, is_legacy = PROFILES[info.profile], info.profile == "LEGACY"
    modulus = 1 << (32 if info.is_fusa else 16)
    packets, truth = [], []
    for frame in range(num_frames):
        number = (first + frame) % modulus
        ranges = rng.integers(0, 5000, (info.height, info.width)) * profile.range_unit_mm
        ranges[rng.uniform(size=ranges.shape) < 0.2] = 0
        bright = rng.integers(0, 256, ranges.shape)
        truth.append((number, ranges, bright))
        for start in range(0, info.width, info.columns_per_packet):
            packet = bytearray(b"" if is_legacy else bytes(32))
            if not is_legacy:
                place, size = (4, "<I") if info.is_fusa else (2, "<H")
                struct.pack_into(size, packet, place, number)
            for column in range(start, start + info.columns_per_packet):
                stamp = 10**9 + frame * 10**8 + column * 10**5
                packet += struct.pack("<QH", stamp, column)
                packet += struct.pack("<HI", number, 0) if is_legacy else struct.pack("<H", 1)
                for row in range(info.height):
                    pixel = bytearray(profile.pixel_bytes)
                    raw = int(ranges[row, column]) // profile.range_unit_mm
                    size = "<H" if profile.range_mask == 0x7FFF else "<I"
                    struct.pack_into(size, pixel, 0, raw)
                    pixel[profile.reflectivity_at] = bright[row, column]
                    packet += pixel
                if is_legacy:
                    packet += b"\xff\xff\xff\xff"
            packet += b"" if is_legacy else bytes(32)
            packets.append((START_NS + len(packets) * 10**6, bytes(packet)))
    return packets, truth


@pytest.mark.parametrize("profile", PROFILES)
def test_every_packet_layout_gives_its_ranges(profile):
    info = read_info(metadata(profile), "test")
    packets, truth = ouster_packets(info)
    assert len(packets[0][1]) == info.packet_bytes
    frames = list(assemble_frames(packets, info))
    assert len(frames) == 2
    for frame, (number, ranges, bright) in zip(frames, truth, strict=True):
        assert frame.frame_number == number
        np.testing.assert_array_equal(frame.range_mm, ranges)
        np.testing.assert_array_equal(frame.reflectivity, bright)
    assert frames[1].stamp_ns == START_NS + 8 * 10**6


def test_points_are_where_the_beams_point():
    info = read_info(metadata(), "test")
    packets, ((_, ranges, _),) = ouster_packets(info, 1)
    (frame,) = assemble_frames(packets, info)
    fields = frame_fields(frame, info).fields
    xyz = np.stack([fields[axis] for axis in "xyz"], axis=1).reshape(info.height, info.width, 3)
    altitude = np.radians(np.linspace(20, -20, info.height))
    azimuth = np.radians(np.tile([3.0, -3.0], info.height // 2))
    for row, column in ((0, 0), (3, 17), (15, 63), (8, 32)):
        if not ranges[row, column]:
            np.testing.assert_array_equal(xyz[row, column], 0)
            continue
        encoder = 2 * np.pi * (1 - column / info.width)
        reach = ranges[row, column] - 15.8
        turned = encoder - azimuth[row]
        lidar = np.array(
            [
                reach * np.cos(turned) * np.cos(altitude[row]) + 15.8 * np.cos(encoder),
                reach * np.sin(turned) * np.cos(altitude[row]) + 15.8 * np.sin(encoder),
                reach * np.sin(altitude[row]),
            ]
        )
        sensor = np.array([-lidar[0], -lidar[1], lidar[2] + 36.18]) / 1000
        np.testing.assert_allclose(xyz[row, column], sensor, atol=1e-5)
    ring = fields["ring"].reshape(info.height, info.width)
    assert (ring[:, 0] == np.arange(info.height)[::-1]).all()
    time = fields["time"].reshape(info.height, info.width)
    np.testing.assert_allclose(time[5], np.arange(info.width) * 1e-4, atol=1e-7)


def test_packets_that_are_late_lost_or_of_another_kind():
    info = read_info(metadata(), "test")
    packets, truth = ouster_packets(info, 3)
    late = packets.pop(2)
    mixed = [*packets[:9], late, (0, b"imu"), *packets[9:]]
    frames = list(assemble_frames(mixed, info))
    assert len(frames) == 3
    missing = frames[0].column_ns == 0
    assert missing.sum() == info.columns_per_packet
    np.testing.assert_array_equal(frames[0].range_mm[:, ~missing], truth[0][1][:, ~missing])
    assert not frames[0].range_mm[:, missing].any()
    for k in (1, 2):
        np.testing.assert_array_equal(frames[k].range_mm, truth[k][1])


def udp(payload, source=(10, 0, 0, 7), port=7502, identification=1, start=0, more=False):
    """An Ethernet frame with an IPv4 packet; `payload` is the datagram's own part."""
    size = 20 + len(payload)
    flags = (0x2000 if more else 0) | start // 8
    header = struct.pack(
        ">BBHHHBBH4s4s", 0x45, 0, size, identification, flags, 64, 17, 0,
        bytes(source), bytes((10, 0, 0, 1)),
    )  # fmt: skip
    return bytes(12) + b"\x08\x00" + header + payload


def datagram(payload, port=7502):
    return struct.pack(">4H", port, port, 8 + len(payload), 0) + payload


def fragments(payload, identification, mtu=1480):
    whole = datagram(payload)
    for start in range(0, len(whole), mtu):
        part = whole[start : start + mtu]
        more = start + mtu < len(whole)
        yield udp(part, identification=identification, start=start, more=more)


def write_pcap(path, frames, order="<", nanoseconds=False):
    magic = 0xA1B23C4D if nanoseconds else 0xA1B2C3D4
    data = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 1 << 18, 1)
    for stamp_ns, frame in frames:
        seconds, rest = divmod(stamp_ns, 10**9)
        part = rest if nanoseconds else rest // 1000
        data += struct.pack(order + "4I", seconds, part, len(frame), len(frame)) + frame
    path.write_bytes(data)
    return path


def write_pcapng(path, frames, resolution=9):
    def block(kind, body):
        body += bytes(-len(body) % 4)
        size = 12 + len(body)
        return struct.pack("<2I", kind, size) + body + struct.pack("<I", size)

    data = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
    option = struct.pack("<2HB3x2H", 9, 1, resolution, 0, 0)
    data += block(1, struct.pack("<2HI", 1, 0, 0) + option)
    for stamp_ns, frame in frames:
        ticks = stamp_ns // 10 ** (9 - resolution)
        head = struct.pack("<5I", 0, ticks >> 32, ticks & 0xFFFFFFFF, len(frame), len(frame))
        data += block(6, head + frame)
    path.write_bytes(data)
    return path


WRITERS = {
    "little": lambda path, frames: write_pcap(path, frames),
    "big": lambda path, frames: write_pcap(path, frames, ">"),
    "nanoseconds": lambda path, frames: write_pcap(path, frames, nanoseconds=True),
    "pcapng": write_pcapng,
    "pcapng-microseconds": lambda path, frames: write_pcapng(path, frames, 6),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_captures_give_whole_datagrams_whatever_their_format(writer, tmp_path):
    rng = np.random.default_rng(0)
    payloads = [rng.bytes(size) for size in (10, 1206, 12_608, 24_896, 0)]
    frames = []
    for number, payload in enumerate(payloads):
        parts = list(fragments(payload, number))
        if len(parts) > 2:
            parts[0], parts[1] = parts[1], parts[0]  # the network may swap them
        frames += [(START_NS + number * 1000, part) for part in parts]
    frames.insert(1, (START_NS, bytes(12) + b"\x08\x06" + bytes(40)))  # ARP is passed over
    found = list(read_datagrams(WRITERS[writer](tmp_path / "a.pcap", frames)))
    assert [d.payload for d in found] == payloads
    assert [d.stamp_ns for d in found] == [START_NS + k * 1000 for k in range(len(payloads))]
    assert {(d.source, d.port) for d in found} == {("10.0.0.7:7502", 7502)}


def ouster_capture(folder, num_frames=3, source=(10, 0, 0, 7)):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "drive.json").write_text(metadata())
    info = read_info(metadata(), "test")
    packets, truth = ouster_packets(info, num_frames)
    frames = [(stamp, udp(datagram(packet), source)) for stamp, packet in packets]
    return frames, truth


def test_a_capture_is_a_recording_and_cut_off_gives_what_is_whole(tmp_path):
    frames, truth = ouster_capture(tmp_path)
    path = write_pcap(tmp_path / "drive.pcap", frames)
    source = open_recording(path)
    assert (source.num_frames, source.sensor) == (None, "Ouster OS-1-16")
    found = list(source.frames())
    assert [frame.path.name for frame in found] == ["000000", "000001", "000002"]
    assert found[1].load().scan.num_points == (truth[1][1] > 0).sum()
    path.write_bytes(path.read_bytes()[:-100])
    numbers, cut = [], source.frames()
    with pytest.raises(InputError, match=r"drive\.pcap: cut off within a packet"):
        numbers.extend(frame.path.name for frame in cut)
    assert numbers == ["000000", "000001", "000002"]  # the last one lacks a packet


def test_two_sensors_no_metadata_no_points_and_unknown_packets(tmp_path):
    one, _ = ouster_capture(tmp_path / "two")
    other, _ = ouster_capture(tmp_path / "two", source=(10, 0, 0, 8))
    mixed = [frame for pair in zip(one, other, strict=True) for frame in pair]
    path = write_pcap(tmp_path / "two" / "a.pcap", mixed)
    with pytest.raises(InputError, match=r"two sensors in one capture \(10.0.0.7, 10.0.0.8\)"):
        open_recording(path)
    path = write_pcap(tmp_path / "alone.pcap", one)
    with pytest.raises(InputError, match="wanted the sensor's metadata"):
        open_recording(path)
    path = write_pcap(tmp_path / "empty.pcap", [])
    with pytest.raises(InputError, match="no points: wanted UDP packets"):
        open_recording(path)
    hesai = [(START_NS, udp(datagram(b"\xee\xff" + bytes(800))))] * 3
    with pytest.raises(InputError, match="Hesai packets, which are not read"):
        open_recording(write_pcap(tmp_path / "hesai.pcap", hesai))
    path = write_pcap(tmp_path / "two" / "b.pcap", [(START_NS, udp(datagram(bytes(99))))])
    with pytest.raises(InputError, match="got 99 bytes"):
        open_recording(path)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"beam_altitude_angles": 3}', metadata("RNG99"), metadata(width=0),
     metadata().replace("20.0", "null", 1)],
)  # fmt: skip
def test_metadata_that_are_none_are_one_line(text):
    with pytest.raises(InputError) as caught:
        read_info(text, "test.json")
    assert "test.json" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_newer_firmware_nests_its_metadata():
    flat = json.loads(metadata())
    nested = {
        "sensor_info": {"prod_line": flat["prod_line"]},
        "beam_intrinsics": {
            key: flat[key] for key in flat if key.startswith(("beam_", "lidar_origin"))
        },
        "lidar_intrinsics": {"lidar_to_sensor_transform": flat["lidar_to_sensor_transform"]},
        "config_params": {"lidar_mode": flat["lidar_mode"]},
        "lidar_data_format": flat["data_format"],
    }
    old, new = read_info(metadata(), "old"), read_info(json.dumps(nested), "new")
    np.testing.assert_array_equal(old.direction, new.direction)
    np.testing.assert_array_equal(old.offset, new.offset)
    assert (new.product, new.profile) == ("OS-1-16", old.profile)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4", b"\x0a\x0d\x0d\x0a", b""]),
       st.binary(max_size=300))  # fmt: skip
def test_any_bytes_as_a_capture_are_read_or_refused(tmp_path_factory, magic, data):
    path = tmp_path_factory.getbasetemp() / "fuzz.pcap"
    path.write_bytes(magic + data)
    said = ""
    try:
        list(read_datagrams(path))
    except InputError as error:
        said = str(error)
    assert "\n" not in said


# Of ouster-sdk 1.0.1 (open_source, LidarScan.field, XYZLut without extrinsics): frame number,
# returns, sum of the ranges and of the reflectivities, and the sums of x, y, z over all returns.
OUSTER_SDK = {
    "OS-0-32-U1_v2.2.0_1024x10.pcap": [
        (1453, (32, 1024), 21631, 132991520, 461328, -3881.66, -24364.46, 1579.65),
    ],
    "OS-1-128_v2.3.0_1024x10_lb_n3.pcap": [
        (1795, (128, 1024), 107647, 1695188032, 1529820, 15229.48, 205214.69, 64598.95),
        (1796, (128, 1024), 107357, 1691787376, 1525686, 12101.63, 199698.32, 63377.94),
        (1797, (128, 1024), 107532, 1701150736, 1520042, 21344.24, 196677.7, 64243.45),
    ],
}


@pytest.mark.data
@pytest.mark.parametrize("name", OUSTER_SDK)
def test_ouster_captures_equal_the_makers_own_tool(real_data, name):
    path = real_data / "recordings" / name
    info = find_info(path)
    packets = ((d.stamp_ns, d.payload) for d in read_datagrams(path))
    frames = list(assemble_frames(packets, info))
    assert len(frames) == len(OUSTER_SDK[name])
    for frame, (number, shape, hits, ranges, bright, *xyz) in zip(
        frames, OUSTER_SDK[name], strict=True
    ):
        assert frame.frame_number == number
        assert frame.range_mm.shape == shape
        assert (frame.range_mm > 0).sum() == hits
        assert frame.range_mm.sum(dtype=np.int64) == ranges
        assert frame.reflectivity.sum(dtype=np.int64) == bright
        fields = frame_fields(frame, info).fields
        for axis, total in zip("xyz", xyz, strict=True):
            assert fields[axis].sum(dtype=np.float64) == pytest.approx(total, abs=0.5)


def _first_sensor(entry):
    """A LidarScan of what the library's versions iterate over."""
    return entry if hasattr(entry, "packet_timestamp") else entry[0]


@pytest.mark.data
@pytest.mark.parametrize("name", OUSTER_SDK)
def test_ouster_captures_equal_ouster_sdk_pixel_by_pixel(real_data, name):
    sdk = pytest.importorskip("ouster.sdk")
    core = pytest.importorskip("ouster.sdk.core")
    path = real_data / "recordings" / name
    info = find_info(path)
    packets = ((d.stamp_ns, d.payload) for d in read_datagrams(path))
    (metadata_file,) = path.parent.glob(f"{name.split('_1024x10')[0]}*.json")
    theirs = list(map(_first_sensor, sdk.open_source(str(path), meta=[str(metadata_file)])))
    for frame, scan in zip(assemble_frames(packets, info), theirs, strict=True):
        np.testing.assert_array_equal(frame.range_mm, scan.field("RANGE"))
        np.testing.assert_array_equal(frame.reflectivity, scan.field("REFLECTIVITY"))
        hit = frame.range_mm.reshape(-1) > 0
        fields = frame_fields(frame, info).fields
        xyz = np.stack([fields[axis] for axis in "xyz"], axis=1)
        wanted = core.XYZLut(scan.sensor_info, use_extrinsics=False)(frame.range_mm)
        np.testing.assert_allclose(xyz[hit], wanted.reshape(-1, 3)[hit], atol=1e-4)


@pytest.mark.data
def test_an_osf_recording_has_the_frames_of_the_capture_it_was_made_of(real_data, tmp_path):
    sdk = pytest.importorskip("ouster.sdk")
    osf = pytest.importorskip("ouster.sdk.osf")
    name = "OS-1-128_v2.3.0_1024x10_lb_n3.pcap"
    path = real_data / "recordings" / name
    (metadata_file,) = path.parent.glob("OS-1-128*.json")
    source = sdk.open_source(str(path), meta=[str(metadata_file)])
    scans = list(map(_first_sensor, source))
    known = getattr(scans[0], "sensor_info", None) or source.metadata
    writer = osf.Writer(str(tmp_path / "a.osf"), known[0] if isinstance(known, list) else known)
    for scan in scans:
        writer.save(0, scan)
    writer.close()
    captured = [frame.load() for frame in open_recording(path).frames()]
    recorded = list(open_recording(tmp_path / "a.osf").frames())
    assert len(recorded) == len(captured) == 3
    for ours, theirs in zip(recorded, captured, strict=True):
        loaded = ours.load()
        np.testing.assert_array_equal(loaded.valid, theirs.valid)
        np.testing.assert_array_equal(loaded.scan.points, theirs.scan.points)
        np.testing.assert_array_equal(loaded.scan.intensity, theirs.scan.intensity)
        assert abs(ours.stamp_ns - 1650410295350216000) < 10**9
    (tmp_path / "b.osf").write_bytes((tmp_path / "a.osf").read_bytes()[:5000])
    with pytest.raises(InputError, match=r"damaged|no points"):
        list(open_recording(tmp_path / "b.osf").frames())


@pytest.mark.data
def test_velodyne_packets_in_a_bag_equal_velodyne_decoder(real_data):
    decoder = pytest.importorskip("velodyne_decoder")
    rosbags = pytest.importorskip("rosbags.rosbag2")
    from lidarpan.scans.recordings.messages import RosDecoder

    folder = real_data / "recordings" / "vlp16_packets"
    (source,) = open_sources([folder])
    scanner, ours = decoder.ScanDecoder(decoder.Config()), source.frames()
    definition = source.recording.topics["/velodyne_packets"].definition
    with rosbags.Reader(folder) as reader:
        for _, _, data in reader.messages():
            message = RosDecoder().decode(definition, data, "test")
            listed = [
                decoder.VelodynePacket(p.stamp.sec + p.stamp.nanosec * 1e-9, p.data)
                for p in message.packets
            ]
            _, points = scanner.decode(decoder.PacketVector(listed), True)
            frame = next(ours)
            scan = frame.load().scan
            wanted = np.stack([points[axis] for axis in "xyz"], axis=1)
            np.testing.assert_allclose(scan.points, wanted, atol=1e-2)
            np.testing.assert_array_equal(scan.ring, points["ring"])
            np.testing.assert_allclose(scan.intensity, points["intensity"] / 255, atol=1e-6)
            stamp = message.header.stamp
            assert frame.stamp_ns == stamp.sec * 10**9 + stamp.nanosec
            assert 0.09 < np.ptp(scan.time) < 0.11
    assert next(ours, None) is None


@pytest.mark.data
def test_velodyne_packets_in_a_capture_give_the_same_turns(real_data, tmp_path):
    pytest.importorskip("velodyne_decoder")
    rosbags = pytest.importorskip("rosbags.rosbag2")
    from lidarpan.scans.recordings.messages import RosDecoder

    folder = real_data / "recordings" / "vlp16_packets"
    (source,) = open_sources([folder])
    definition = source.recording.topics["/velodyne_packets"].definition
    frames = []
    with rosbags.Reader(folder) as reader:
        for _, _, data in reader.messages():
            for packet in RosDecoder().decode(definition, data, "test").packets:
                stamp_ns = packet.stamp.sec * 10**9 + packet.stamp.nanosec
                frames.append((stamp_ns, udp(datagram(bytes(packet.data), 2368))))
    capture = open_recording(write_pcap(tmp_path / "vlp16.pcap", frames))
    assert capture.sensor == "Velodyne"
    found = [frame.load().scan for frame in capture.frames()]
    assert sum(scan.num_points for scan in found) == pytest.approx(59414, rel=0.01)
    assert 4 <= len(found) <= 5
    assert all(len(np.unique(scan.ring)) >= 14 for scan in found[:4])

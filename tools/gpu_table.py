"""What gpu_check.py found, as lines to read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_NETWORK_KEYS = ("run_p50_ms", "run_p99_ms", "eager_p50_ms", "warm_p50_ms", "floor_ms")


def essential_table(results: Mapping[str, Any]) -> list[str]:
    """Lines of what matters: the network by engine and precision, its profile, file to labels.

    Args:
        results: of the steps by name, None of a step without one.
    """
    results = {name: result for name, result in results.items() if result}
    lines = [f"network of the shipped weights, ms: {', '.join(_NETWORK_KEYS)}"]
    for name, found in results.items():
        lines += _network_lines(found) if name.startswith("network") else []
    for name, found in results.items():
        if name.startswith("parity"):
            worst = max(found, key=lambda row: row["relative_error"] / row["limit"])
            lines.append(f"{name}: worst of {len(found)}: {worst}")
        elif name.startswith("bench"):
            stages = {stage: v["p50"] for stage, v in found["stages_ms"].items()}
            words = ", ".join(f"{stage} {ms:.2f}" for stage, ms in stages.items())
            p99 = found["stages_ms"]["total"]["p99"]
            lines.append(
                f"{name}, {found['machine']['engine']}: ms p50: {words}; total p99 {p99:.2f}"
            )
        elif name == "overlap":
            lines.append(f"overlap: {found}")
        elif name.startswith("tests"):
            lines.append(
                f"{name}: {found['tests']} run, {len(found['failures'] + found['errors'])} failed"
            )
    return lines


def _network_lines(network: dict[str, Any]) -> list[str]:
    lines = []
    for row in network["rows"]:
        title = f"  {row['engine']} {row['precision']}".ljust(22)
        if "error" in row:
            lines.append(f"{title} {row}"[:1500])
            continue
        lines.append(title + "".join(f"{row[key]:9.2f}" for key in _NETWORK_KEYS))
        if not row.get("has_graphs", True):
            lines[-1] += "  without CUDA graphs: see the log"
    profile = network["profile"]
    if profile:
        lines.append(
            f"  of the last: wall {profile['wall_ms']:.2f} ms, kernels {profile['busy_ms']:.2f} ms "
            f"in {profile['kernels']:.0f} launches, idle {profile['idle_share']:.0%}"
        )
        lines += [f"    {name:70} {count:6.0f} {ms:8.3f} ms" for name, count, ms in profile["top"]]
    return lines

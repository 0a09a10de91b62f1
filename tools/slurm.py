"""Starts and stops a Slurm of this one machine, two nodes of two cores, in a scratch folder, for tests and developers.

    python tools/slurm.py start FOLDER     then put FOLDER/bin first on PATH: snakemake drp --profile slurm
    python tools/slurm.py stop FOLDER      ends its jobs and daemons and removes the folder

Needs root and Debian's packages munge, slurmctld, slurmd, slurm-client and slurm-wlm-basic-plugins; writes nothing
outside the folder. There is no accounting database: Slurm's own record is FOLDER/log/jobcomp.log, which `sacct -c`
reads.
"""

import argparse
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

NODES = ("n1", "n2")
CLIENTS = ("sacct", "sacctmgr", "sbatch", "scancel", "scontrol", "sinfo", "squeue", "srun", "sshare")
DAEMONS = ("munged", "slurmctld", "slurmd")
PATIENCE_S = 60
# Memory of a node [MB]: what jobs may reserve; nothing is set aside.
NODE_MEMORY_MB = 8000

CONFIGURATION = """\
ClusterName=skyloom
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
# Without control groups a job's memory is sampled each second, and a job over its limit is killed.
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/log/jobcomp.log
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
MpiDefault=none
SwitchType=switch/none
SlurmdParameters=config_overrides
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0
MinJobAge=600
ReturnToService=2
SlurmdTimeout=10
SlurmctldTimeout=30
MessageTimeout=20
KillWait=5
InactiveLimit=0
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={port_n1} CPUs=2 RealMemory={memory} State=UNKNOWN
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={port_n2} CPUs=2 RealMemory={memory} State=UNKNOWN
# LLN: the least loaded node first, so that two jobs run on two nodes.
PartitionName=short Nodes=n1,n2 Default=YES MaxTime=600 LLN=YES State=UP
"""
CLIENT = """\
#!/bin/sh
# Slurm's own clients and Snakemake's plugin drop SLURM_CONF on the way to a job, so it is set anew for each call.
SLURM_CONF={folder}/slurm.conf exec {program} "$@"
"""


class SlurmError(Exception):
    """The one-machine Slurm could not be started or stopped."""


def main():
    """Start or stop (see the module's docstring) and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=("start", "stop"))
    parser.add_argument(
        "folder", type=Path, help="scratch folder of this Slurm, made by start, removed by stop"
    )
    arguments = parser.parse_args()
    try:
        (start if arguments.action == "start" else stop)(arguments.folder.resolve())
    except SlurmError as error:
        sys.stderr.write(f"slurm: {error}\n")
        return 1
    return 0


def missing_programs():
    """Programs of Slurm and munge that are not on PATH (list of str)."""
    return [name for name in (*DAEMONS, *CLIENTS) if shutil.which(name) is None]


def start(folder):
    """Start munge, the controller and two nodes, and wait until the nodes take jobs.

    Parameters
    ----------
    folder : Path
        Absolute path of a folder that does not exist; its path may hold no blank.

    Raises
    ------
    SlurmError
        When a program is missing, the folder is there, or a daemon does not start.
    """
    if missing := missing_programs():
        raise SlurmError(
            f"no {', '.join(missing)} on PATH: apt-get install --no-install-recommends munge slurmctld slurmd "
            "slurm-client slurm-wlm-basic-plugins"
        )
    if folder.exists():
        raise SlurmError(f"{folder} is there already: stop it first, or take another folder")
    for name in ("state", "log", "bin", *(f"spool.{node}" for node in NODES)):
        (folder / name).mkdir(parents=True)
    write_files(folder)
    try:
        start_daemons(folder)
    except SlurmError:
        stop(folder)
        raise


def write_files(folder):
    """Write the key, slurm.conf and the clients that know it."""
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    host = socket.gethostname().partition(".")[0]
    ports = dict(zip(("port", "port_n1", "port_n2"), free_ports(3), strict=True))
    text = CONFIGURATION.format(folder=folder, host=host, memory=NODE_MEMORY_MB, **ports)
    (folder / "slurm.conf").write_text(text, encoding="utf-8")
    for name in CLIENTS:
        client = folder / "bin" / name
        client.write_text(CLIENT.format(folder=folder, program=shutil.which(name)), encoding="utf-8")
        client.chmod(0o755)


def free_ports(number):
    """Ports of this machine that nobody listens on (list of int)."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def start_daemons(folder):
    """Start munged, slurmctld and both slurmd in this order, and wait for idle nodes."""
    munge = [
        "munged", "--force", f"--key-file={folder}/munge.key", f"--socket={folder}/munge.sock",
        f"--pid-file={folder}/munged.pid", f"--log-file={folder}/log/munged.log",
        f"--seed-file={folder}/munge.seed", "--num-threads=2",
    ]  # fmt: skip
    run_daemon(munge)
    start_controller(folder)
    for node in NODES:
        start_node(folder, node)
    wait_until(lambda: set(idle_nodes(folder)) == set(NODES), f"both nodes idle, see {folder}/log")


def start_controller(folder):
    """Start slurmctld; it knows the jobs of the one that ran before.

    Parameters
    ----------
    folder : Path
        Folder of this Slurm.
    """
    run_daemon(["slurmctld", "-f", f"{folder}/slurm.conf"])


def start_node(folder, node):
    """Start one node's slurmd.

    Parameters
    ----------
    folder : Path
        Folder of this Slurm.
    node : str
        One of `NODES`.
    """
    run_daemon(["slurmd", "-N", node, "-f", f"{folder}/slurm.conf"])


def run_daemon(command):
    """Run a program that goes into the background by itself."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SlurmError(f"{command[0]} does not start: {(done.stderr or done.stdout).strip()}")


def idle_nodes(folder):
    """Names of the nodes that wait for jobs (list of str)."""
    command = [folder / "bin" / "sinfo", "-h", "-N", "-t", "idle", "-o", "%N"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()


def wait_until(holds, what):
    """Wait until a condition holds, at most `PATIENCE_S`."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > deadline:
            raise SlurmError(f"waited {PATIENCE_S} s in vain for {what}")
        time.sleep(0.1)


def kill_node(folder, node):
    """Let a node die at once: its slurmd, and its jobs with all that they started.

    Parameters
    ----------
    folder : Path
        Folder of this Slurm.
    node : str
        One of `NODES`.

    Raises
    ------
    SlurmError
        When the node is not up.
    """
    pid = read_pid(folder / f"slurmd.{node}.pid")
    if pid is None:
        raise SlurmError(f"node {node} is not up")
    jobs = subprocess.run(
        [folder / "bin" / "squeue", "-h", "-w", node, "-o", "%i"], capture_output=True, text=True, check=True
    ).stdout.split()
    os.kill(pid, signal.SIGKILL)
    for job in jobs:
        kill_processes_of_job(job)


def kill_processes_of_job(job):
    """Kill whatever carries a job's number in its environment, and the daemons of its steps."""
    for process in Path("/proc").glob("[0-9]*"):
        # Processes come and go while one looks.
        with contextlib.suppress(OSError):
            words = (process / "cmdline").read_bytes()
            variables = (process / "environ").read_bytes().split(b"\0")
            if f"SLURM_JOB_ID={job}".encode() in variables or f"slurmstepd: [{job}.".encode() in words:
                os.kill(int(process.name), signal.SIGKILL)


def stop(folder):
    """End the jobs and the daemons and remove the folder; what is not there is no error.

    Parameters
    ----------
    folder : Path
        Folder of this Slurm.

    Raises
    ------
    SlurmError
        When a daemon does not end.
    """
    if not (folder / "slurm.conf").is_file():
        raise SlurmError(f"{folder} holds no Slurm of tools/slurm.py")
    if read_pid(folder / "slurmctld.pid") is not None:
        scancel = [folder / "bin" / "scancel", "--user", "root"]
        subprocess.run(scancel, capture_output=True, timeout=PATIENCE_S, check=False)
        wait_until(lambda: not jobs_of(folder), "the end of its jobs")
    for name in (*(f"slurmd.{node}" for node in NODES), "slurmctld", "munged"):
        end_daemon(folder / f"{name}.pid")
    shutil.rmtree(folder)


def jobs_of(folder):
    """Numbers of the jobs that wait or run (list of str)."""
    command = [folder / "bin" / "squeue", "-h", "-o", "%i"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()


def end_daemon(pid_file):
    """Ask a daemon to end and wait for it; a killed one has left its file."""
    pid = read_pid(pid_file)
    if pid is None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    wait_until(lambda: read_pid(pid_file) is None, f"the end of {pid_file.stem} (process {pid})")


def read_pid(pid_file):
    """Process of a daemon that lives; None for one that has ended, or that is a zombie nobody has waited for."""
    try:
        pid = int(pid_file.read_text(encoding="ascii"))
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError, ValueError):
        return None
    return None if state == "Z" else pid


if __name__ == "__main__":
    sys.exit(main())

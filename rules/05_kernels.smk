"""Library -> compiled kernels in the user's cache, and a marker that other rules take as ancient.

Nothing may make this job run again by itself: Snakemake would then look no further than its ancient marker and
leave out all that is behind it. Changed kernels are compiled before the jobs start (workflow/kernel_cache.py).
"""


rule compile_kernels:
    output:
        done=path("kernels"),
    log:
        log_of("kernels"),
    benchmark:
        benchmark_of("kernels")
    resources:
        mem_mb=memory_of("kernels"),
        runtime=runtime_of("kernels"),
    conda:
        "../envs/science.yaml"
    script:
        "../scripts/compile_kernels.py"

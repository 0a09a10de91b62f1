"""The command `skyloom`: what a person asks of products and surveys outside of Snakemake."""

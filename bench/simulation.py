IMAGES = 1000


def run(n):
    return n


def page(x):
    return ""

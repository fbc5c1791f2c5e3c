"""Commands that scale a deployment by some replicas, as people write them, and what only looks like one."""

from presagio.webhook.kubectl import Scaling

JSONPATH = "-o=jsonpath='{.spec.replicas}'"
SCALE, GET, ONE_MORE = "kubectl scale", "kubectl get", Scaling("a", None, 1)

UNDERSTOOD = [
    (f"{SCALE} deployment a --replicas=$({GET} deployment a {JSONPATH}-1)", Scaling("a", None, -1)),
    (f"{SCALE} deployment a --replicas=$({GET} deployment a {JSONPATH} + 2)", Scaling("a", None, 2)),
    (f'{SCALE} deploy a --replicas="$({GET} deploy/a {JSONPATH}+10)"', Scaling("a", None, 10)),
    (f"{SCALE} deployments/a --replicas $({GET} deployment.apps a {JSONPATH}+1)", ONE_MORE),
    (f"{SCALE} deployment a --replicas=$({GET} deployment a -o jsonpath={{.spec.replicas}}+1)", ONE_MORE),
    (f'{SCALE} deployment a --replicas=$({GET} deployment a -o jsonpath="{{.spec.replicas}}"+1)', ONE_MORE),
    (f"{SCALE} deploy a --replicas=$({GET} deploy a --output='jsonpath={{.spec.replicas}}+1')", ONE_MORE),
    (f"  kubectl   scale  deployment a  --replicas=$( kubectl  get deploy a {JSONPATH}+1 )  ", ONE_MORE),
    (f"{SCALE} --replicas=$({GET} {JSONPATH} deployment a +1) deployment a", ONE_MORE),
    (f"{SCALE} -n b deploy a --replicas=$({GET} deploy a --namespace=b {JSONPATH}+1)", Scaling("a", "b", 1)),
    (f"kubectl -n b scale deploy a --replicas=$(kubectl -n b get deploy a {JSONPATH}+1)", Scaling("a", "b", 1)),
    (
        f"{SCALE} deploy a --namespace ${{b}} --replicas=$({GET} deploy a -n=${{b}} {JSONPATH}+1)",
        Scaling("a", "${b}", 1),
    ),
    (f"{SCALE} deployment a --replicas=$(( $({GET} deployment a {JSONPATH}) + 3 ))", Scaling("a", None, 3)),
    (f"{SCALE} deployment a --replicas=$(($({GET} deployment a {JSONPATH})-1))", Scaling("a", None, -1)),
    (f"{SCALE} deployment a --replicas=$(expr $({GET} deployment a {JSONPATH}) + 1)", ONE_MORE),
    (
        f"{SCALE} deploy a-${{b}}-2 --replicas=$({GET} deploy a-${{b}}-2 {JSONPATH}+1)",
        Scaling("a-${b}-2", None, 1),
    ),
]  # fmt: skip

REFUSED = [
    f"kubectl scale deployment a --replicas=$(kubectl get deployment b {JSONPATH}+1)",
    f"kubectl scale deployment a -n x --replicas=$(kubectl get deployment a -n y {JSONPATH}+1)",
    f"kubectl scale deployment a -n x --replicas=$(kubectl get deployment a {JSONPATH}+1)",
    f"kubectl scale deployment a --replicas=$(kubectl get deployment a {JSONPATH})",
    f"kubectl scale deployment a --replicas=$(kubectl get deployment a {JSONPATH}+0)",
    f"kubectl scale deployment a --replicas=$(kubectl get deployment a {JSONPATH}*2)",
    f"kubectl scale deployment a --replicas=$(kubectl get deployment a {JSONPATH}+1); reboot",
    f"kubectl scale deployment a --replicas=$(kubectl get deployment a {JSONPATH}+1) && reboot",
    f"kubectl scale deployment a --context=prod --replicas=$(kubectl get deployment a {JSONPATH}+1)",
    f"kubectl scale statefulset a --replicas=$(kubectl get statefulset a {JSONPATH}+1)",
    f"kubectl delete deployment a --replicas=$(kubectl get deployment a {JSONPATH}+1)",
    "kubectl scale deployment a --replicas=$(kubectl get deployment a -o=jsonpath='{.status.replicas}'+1)",
    "kubectl scale deployment web-2 --replicas=$(kubectl get deployment web-2)",
    "kubectl scale deployment a-2 --replicas=$(kubectl get -o jsonpath={.spec.replicas} deployment a-2)",
    f"kubectl scale deployment a --replicas=$(kubectl get deployment a {JSONPATH}+1",
    f"kubectl scale deployment $(id) --replicas=$(kubectl get deployment $(id) {JSONPATH}+1)",
]

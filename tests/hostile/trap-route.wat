;; world: router
;; Fails at once.
  (func (export "turnpike:policy/route@0.1.0#score") (param i32) (result i32)
    (unreachable))

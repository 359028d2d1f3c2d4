;; world: classifier
;; Fails when it is asked who it is.
  (func (export "turnpike:policy/plugin@0.1.0#describe") (result i32)
    (unreachable))

  (func (export "turnpike:policy/classify@0.1.0#classify") (result i32)
    (unreachable))
